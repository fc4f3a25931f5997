"""The prepared shop on disk, as every later stage reads it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import polars as pl

from aisle.data.errors import InputError
from aisle.data.history import Histories
from aisle.data.ids import Ids
from aisle.data.schema import Kind, of_kinds

Part = Literal["train", "validation", "test"]
BEFORE: dict[Part, tuple[Part, ...]] = {
    "train": (),
    "validation": ("train",),
    "test": ("train", "validation"),
}
"""The parts that are past when a part is predicted."""


@dataclass(frozen=True)
class Prepared:
    """A folder written by :func:`aisle.data.prepare.prepare`.

    items.parquet               the catalogue; its row order is the item row everywhere
    events.parquet              all kept events
    rejects.parquet             all dropped rows, with the reason
    split/{part}.parquet        the events of train, validation and test
    counts.json                 rows in, kept, rejected by reason; sizes of the parts; the kinds
    """

    folder: Path

    def __post_init__(self) -> None:
        if not (self.folder / "counts.json").is_file():
            raise InputError(
                "a prepared shop (items.parquet, split/, counts.json)",
                f"no counts.json in {self.folder}",
                "run `aisle prepare` first, or point to the folder that it wrote",
            )

    @cached_property
    def counts(self) -> dict[str, object]:
        """What `prepare` counted."""
        return dict(json.loads((self.folder / "counts.json").read_text()))

    @cached_property
    def target_kinds(self) -> tuple[Kind, ...]:
        """Kinds of events that make an item relevant."""
        kinds: Sequence[Kind] = self.counts["target_kinds"]  # type: ignore[assignment]
        return tuple(kinds)

    @cached_property
    def seen_kinds(self) -> tuple[Kind, ...]:
        """Kinds of events that take an item out of a user's results."""
        kinds: Sequence[Kind] = self.counts["seen_kinds"]  # type: ignore[assignment]
        return tuple(kinds)

    @property
    def timed(self) -> bool:
        """Whether events have a time, and not only an order."""
        return self.counts["order"] == "time"

    @property
    def split_by_time(self) -> bool:
        """Whether the parts follow each other in time, so that each begins at one moment for all users."""
        return self.counts.get("cuts") is not None

    @cached_property
    def items(self) -> pl.DataFrame:
        """The catalogue, one row an item row."""
        return pl.read_parquet(self.folder / "items.parquet")

    @cached_property
    def item_ids(self) -> Ids:
        """All items."""
        return Ids(self.items["item_id"])

    @cached_property
    def user_ids(self) -> Ids:
        """All users with an event in any part, in sorted order."""
        users = self.events("train", "validation", "test").select(pl.col("user_id").unique().sort()).collect()
        return Ids(users["user_id"])

    def events(self, *parts: Part) -> pl.LazyFrame:
        """Events of the given parts, lazily."""
        return pl.concat([pl.scan_parquet(self.folder / "split" / f"{part}.parquet") for part in parts])

    @property
    def moment(self) -> int | None:
        """When all users ask, in microseconds since 1970; None: when the last event that is past happened."""
        return None

    def reviews(self, *parts: Part) -> pl.LazyFrame:
        """Events of the given parts whose words describe items."""
        return self.events(*parts)

    def past(self, part: Part) -> pl.LazyFrame:
        """Everything that may be known when `part` is predicted."""
        return self.events(*BEFORE[part])

    def histories(self, *parts: Part, kinds: Sequence[Kind] | None = None) -> Histories:
        """Histories of all users (row order of `user_ids`) over `parts`; all item kinds unless told."""
        events = self.events(*parts)
        if kinds is None:
            return Histories.of(events, self.user_ids, self.item_ids)
        return Histories.of(events, self.user_ids, self.item_ids, kinds)

    def truth(self, part: Part) -> pl.DataFrame:
        """Relevant items of `part`: distinct user_id, item_id, sorted."""
        targets = self.events(part).filter(of_kinds(self.target_kinds))
        return targets.select("user_id", "item_id").unique().sort("user_id", "item_id").collect()
