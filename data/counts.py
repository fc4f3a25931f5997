"""What the prepare job counted: `counts.json`."""

from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from aisle.data.clean.events import Order
from aisle.data.readers import FileReport
from aisle.data.schema import Kind
from aisle.data.settings import SplitSettings
from aisle.data.split import PARTS


class TableCounts(BaseModel):
    """Rows of one table: `rows_in == kept + sum(rejected.values())`.

    Attributes:
        rows_in: rows of the input.
        kept: rows that stay.
        rejected: rows that do not, by reason, most frequent first.
        repaired: values that cleaning changed or removed in rows that stay, by column.
    """

    rows_in: int
    kept: int
    rejected: dict[str, int]
    repaired: dict[str, int]


class PartCounts(BaseModel):
    """Sizes of one part of the split.

    Attributes:
        events: all events.
        targets: events of the target kinds.
        users: users with an event.
        items: items with an event.
        new_users: those of `users` without an event in an earlier part.
        new_items: those of `items` without an event in an earlier part.
    """

    events: int
    targets: int
    users: int
    items: int
    new_users: int
    new_items: int


class Counts(BaseModel):
    """All counts of a prepared shop.

    Attributes:
        files: what was read from each file.
        items, events: rows of the two tables.
        users: users with a kept event.
        catalogue: items in `items.parquet`, those without a record of their own included.
        items_without_record: items that kept events name and the catalogue does not describe.
        users_below_3_targets: users with fewer than three target events; in a split by user they are never
            tested.
        order: what tells which event came first: its time, or its position in the user's history.
        target_kinds: kinds of events that make an item relevant.
        seen_kinds: kinds of events that take an item out of a user's results.
        split: settings of the split, `strategy` never "auto".
        cuts: first moments of validation and test in a time split.
        parts: sizes of train, validation and test.
    """

    model_config = ConfigDict(extra="forbid")

    files: list[FileReport]
    items: TableCounts
    events: TableCounts
    users: int
    catalogue: int
    items_without_record: int
    users_below_3_targets: int
    order: Order
    target_kinds: tuple[Kind, ...]
    seen_kinds: tuple[Kind, ...]
    split: SplitSettings
    cuts: dict[str, datetime] | None
    parts: dict[str, PartCounts]


def by_reason(reasons: pl.Series) -> dict[str, int]:
    """How often each reason occurs, most frequent first; nulls are no reason."""
    found = (
        reasons.drop_nulls()
        .cast(pl.String)
        .value_counts()
        .sort("count", reasons.name, descending=[True, False])
    )
    return dict(found.iter_rows())


def count_parts(events: pl.DataFrame) -> dict[str, PartCounts]:
    """Sizes of all parts.

    Args:
        events: columns user and item (codes; item null for searches), target (Boolean), part (PART).
    """
    place = events["part"].to_physical().to_numpy()
    named = events["item"].is_not_null().to_numpy()
    users = _held(events["user"].to_numpy(), place)
    items = _held(events["item"].fill_null(0).to_numpy()[named], place[named])
    sizes = np.bincount(place, minlength=len(PARTS))
    targets = np.bincount(place[events["target"].to_numpy()], minlength=len(PARTS))
    return {
        part: PartCounts(
            events=int(sizes[row]),
            targets=int(targets[row]),
            users=int(users[row].sum()),
            items=int(items[row].sum()),
            new_users=int((users[row] & ~users[:row].any(axis=0)).sum()),
            new_items=int((items[row] & ~items[:row].any(axis=0)).sum()),
        )
        for row, part in enumerate(PARTS)
    }


def _held(codes: NDArray[np.uint32], place: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which codes each part holds, bool (n_parts, n_codes)."""
    held = np.zeros((len(PARTS), int(codes.max(initial=0)) + 1), bool)
    held[place, codes] = True
    return held
