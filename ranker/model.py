"""A trained ranker on disk: everything that ranking needs, but the users."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from aisle.data.errors import InputError
from aisle.data.history import Histories
from aisle.data.prepared import Prepared
from aisle.ranker.blend import Blend, Scale
from aisle.ranker.calibration import Calibration
from aisle.ranker.columns import ItemColumns
from aisle.ranker.cross_encoder.reader import CrossEncoder
from aisle.ranker.features import Features, compute, group_of
from aisle.ranker.knowledge import Knowledge
from aisle.ranker.lists import Floats, Lists
from aisle.ranker.reviewers import Reviewers
from aisle.ranker.scorers import Scorer
from aisle.ranker.scorers import load as load_scorer
from aisle.ranker.settings import RankerSettings
from aisle.ranker.student import FOLDER as STUDENT
from aisle.retriever.candidates import Retriever

FORMAT = 2
CROSS_ENCODER = "cross_encoder"


@dataclass(frozen=True)
class RankerModel:
    """Scorers, their blend, and what is known of the items.

    Attributes:
        scorers: by kind.
        blend: of them and the retriever.
        names: of the features that the scorers read, in order.
        extra: columns joined by item, such as sentiment.
        reviewers: what the shop's reviewers are like; None without stars, or where it is left out.
        knowledge: of the items, as of the moment of ranking.
        calibration: of the blended scores, to the probability that the user takes the item next.
        cross_encoder: reads the best candidates once more; None: the order over features stays.
        settings: the recipe.
        about: what was learned from, and what validation said.
    """

    scorers: Mapping[str, Scorer]
    blend: Blend
    names: tuple[str, ...]
    extra: ItemColumns
    reviewers: Reviewers | None
    knowledge: Knowledge
    calibration: Calibration
    cross_encoder: CrossEncoder | None
    settings: RankerSettings
    about: Mapping[str, Any]

    def features(self, lists: Lists, histories: Histories) -> Features:
        """What the scorers read of each pair; a feature that there is none of any more is missing."""
        groups = set(map(group_of, self.names))
        extra, known = self.extra.values, self.knowledge
        return compute(lists, histories, known, extra, groups, self.reviewers).aligned(self.names)

    def scores(self, features: Features, lists: Lists, shop: Prepared) -> Floats:
        """Score of each pair of lists of a shop's users, float32 (pairs)."""
        first = self.first(features, lists)
        if self.cross_encoder is None:
            return first
        return self.cross_encoder.refined(shop, lists, features, first)

    def first(self, features: Features, lists: Lists) -> Floats:
        """Blended score over features of each pair, float32 (pairs)."""
        return self.blend.scores(
            {kind: one.scores(features) for kind, one in self.scorers.items()}, lists.scores
        )

    def longer(self, retriever: Retriever, texts: Sequence[str]) -> "RankerModel":
        """The same with items behind its own, which no event names.

        Args:
            retriever: with the same items.
            texts: one for each new item.
        """
        knowledge = self.knowledge.longer(retriever.prepared, retriever.model)
        reader = self.cross_encoder and self.cross_encoder.longer(list(texts))
        return replace(self, knowledge=knowledge, extra=self.extra.longer(len(texts)), cross_encoder=reader)

    def save(self, folder: Path, *, knowing: bool = True) -> None:
        """Write the scorers, `knowledge.safetensors` and, last, `config.json`.

        Args:
            folder: made if it is not there.
            knowing: whether what is known of the items is written, too; without, another ranker's is read.
        """
        folder.mkdir(parents=True, exist_ok=True)
        for scorer in self.scorers.values():
            scorer.save(folder)
        if knowing:
            self.knowledge.save(folder, self.extra.values)
        if self.cross_encoder is not None:
            self.cross_encoder.save(folder / CROSS_ENCODER)
        config = {
            "format": FORMAT,
            "scorers": list(self.scorers),
            "blend": asdict(self.blend),
            "features": self.names,
            "new_items": dict(self.extra.new),
            "reviewers": self.reviewers and self.reviewers.as_json(),
            "calibration": self.calibration.model_dump(),
            "settings": self.settings.model_dump(mode="json"),
            "about": self.about,
        }
        (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path, *, student: bool = False) -> "RankerModel":
        """Read what :meth:`save` wrote.

        Args:
            folder: of a ranker.
            student: read its student, which knows of the items what the ranker knows.

        Raises:
            InputError: it is not there, damaged, or of another format.
        """
        whole = folder
        if student:
            folder = folder / STUDENT
            if not folder.is_dir():
                raise InputError(
                    "a ranker with a student", f"none in {whole}", "train it with ranker.student.enabled=true"
                )
        try:
            config = json.loads((folder / "config.json").read_text())
            if config["format"] != FORMAT:
                raise InputError(
                    f"a ranker of format {FORMAT}", f"format {config['format']}", "train it again"
                )
            knowledge, extra = Knowledge.load(whole)
            return cls(
                scorers={kind: load_scorer(kind, folder) for kind in config["scorers"]},
                blend=Blend(
                    config["blend"]["weight"],
                    {name: Scale(**scale) for name, scale in config["blend"]["scales"].items()},
                ),
                names=tuple(config["features"]),
                extra=ItemColumns(extra, config["new_items"]),
                reviewers=config["reviewers"] and Reviewers.of_json(config["reviewers"]),
                knowledge=knowledge,
                calibration=TypeAdapter[Calibration](Calibration).validate_json(
                    json.dumps(config["calibration"])
                ),
                cross_encoder=_cross_encoder(folder / CROSS_ENCODER),
                settings=RankerSettings.model_validate_json(json.dumps(config["settings"])),
                about=config["about"],
            )
        except InputError:
            raise
        except Exception as error:
            raise InputError(
                "a folder with a trained ranker",
                f"{folder}: {str(error).splitlines()[0] if str(error) else type(error).__name__}",
                "run `aisle ranker`, or give the folder that it wrote",
            ) from error


def _cross_encoder(folder: Path) -> CrossEncoder | None:
    return CrossEncoder.load(folder) if (folder / "config.json").is_file() else None
