"""What answers: a run's model and the index beside it, by their fingerprints."""

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aisle.data.errors import InputError
from aisle.data.ids import Ids
from aisle.data.prepared import Prepared
from aisle.index.description import Description
from aisle.index_jobs import Lazy
from aisle.retriever.candidates import fingerprint
from aisle.retriever.settings import EncoderSettings
from aisle.stages import Workshop


@dataclass(frozen=True, eq=False)
class Served(AbstractContextManager["Served"]):
    """What a job asks, the same from its beginning to its end.

    Attributes:
        says: fingerprints of model, index, encoder and ranker, as the metadata of the parts has them.
        items: of the catalogue.
        text: settings of texts, as the model was trained.
        timed: whether the shop's events have times.
    """

    says: Mapping[str, str]
    items: Ids
    text: Mapping[str, Any]
    timed: bool

    @classmethod
    def open(cls, run: Path, *, rerank: bool) -> Self:
        """What the run in a folder holds.

        Raises:
            InputError: a stage is missing or damaged.
        """
        workshop = Workshop(run)
        used = {name: workshop.input(name) for name in ("prepare", "train", "index")}
        folder = run / "train" / "model"
        shop = Prepared(run / "prepare")
        return cls(
            says={
                "aisle.model": fingerprint(folder),
                "aisle.index": Description.read(run / "index").seal,
                "aisle.encoder": _encoder(folder),
                "aisle.ranker": workshop.input("ranker").digest if rerank else "",
            },
            items=shop.item_ids,
            text=used["train"].settings["text"],
            timed=shop.timed,
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


def _encoder(model: Path) -> str:
    """Fingerprint of the language model that a model reads texts with; empty where it reads none, or the
    language model is not on this machine and not needed."""
    if not (model / "text.safetensors").is_file():
        return ""
    settings = json.loads((model / "config.json").read_text())["settings"]["encoder"]
    try:
        return Lazy(EncoderSettings.model_validate(settings)).fingerprint
    except InputError:
        return ""
