"""What answers: a run's model and the index beside it, by their fingerprints."""

import json
import logging
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
from aisle.index.errors import IndexFault
from aisle.index.versions import Opened, Versions
from aisle.retriever.candidates import fingerprint
from aisle.retriever.locate import reading_fingerprint
from aisle.retriever.settings import EncoderSettings
from aisle.stages import Workshop

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Served(AbstractContextManager["Served"]):
    """What a job asks, the same from its beginning to its end.

    Attributes:
        version: of a nightly index, and the name of the changes to it; None for the run's own index.
        says: fingerprints of model, index, encoder and ranker, as the metadata of the parts has them.
        items: that are in the index.
        text: settings of texts, as the model was trained.
        timed: whether the shop's events have times.
        opened: the version, kept from being collected.
    """

    version: tuple[str, str] | None
    says: Mapping[str, str]
    items: Ids
    text: Mapping[str, Any]
    timed: bool
    opened: Opened | None = None

    @classmethod
    def open(
        cls, run: Path, *, rerank: bool, place: str | None = None, begun: tuple[str, str] | None = None
    ) -> Self:
        """What the run in a folder holds, and a nightly index, if one is to answer.

        Args:
            run: folder of the run.
            rerank: whether its ranker has the last word.
            place: of the nightly index.
            begun: the version, and the changes to it, that an unfinished job asked; where they are gone, the
                live ones are taken.

        Raises:
            InputError: a stage is missing or damaged.
            IndexFault: the index cannot be used, or is another model's.
        """
        workshop = Workshop(run)
        names = ("prepare", "train") if place is not None else ("prepare", "train", "index")
        used = {name: workshop.input(name) for name in names}
        folder = run / "train" / "model"
        shop = Prepared(run / "prepare")
        model = fingerprint(folder)
        says = {
            "aisle.model": model,
            "aisle.encoder": _encoder(folder),
            "aisle.ranker": workshop.input("ranker").digest if rerank else "",
        }
        opened = None
        items = shop.item_ids
        if place is None:
            says["aisle.index"] = Description.read(run / "index").seal
        else:
            opened = _version(place, model, begun)
            says |= {"aisle.index": opened.stored.description.seal, "aisle.version": opened.version}
            items = Ids(opened.stored.ids.series().gather(opened.stored.rows))
        return cls(
            version=None if opened is None else (opened.version, opened.delta),
            says=says,
            items=items,
            text=used["train"].settings["text"],
            timed=shop.timed,
            opened=opened,
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.opened is not None:
            self.opened.close()


def _version(place: str, model: str, begun: tuple[str, str] | None) -> Opened:
    versions = Versions(place)
    if begun is not None:
        try:
            return versions.open(version=begun[0], delta=begun[1], model=model, check="sizes")
        except IndexFault:
            LOG.warning("version %s is gone: the job begins anew with the live one", begun[0])
    return versions.open(model=model, check="sizes")


def _encoder(model: Path) -> str:
    """Fingerprint of the language model that a model reads texts with; empty where it reads none, or the
    language model is not on this machine and not needed."""
    if not (model / "text.safetensors").is_file():
        return ""
    settings = json.loads((model / "config.json").read_text())["settings"]["encoder"]
    try:
        return reading_fingerprint(EncoderSettings.model_validate(settings))
    except InputError:
        return ""
