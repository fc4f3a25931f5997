"""What is known of the items, beside the runs: one object that metrics, slices and checks read."""

import sys
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aisle.data.errors import InputError
from aisle.data.ids import Ids, Rows

Vectors = NDArray[np.float32]
"""One vector an item, float32 (n_items, dimension)."""

COLUMNS: dict[str, pl.DataType | type[pl.DataType]] = {
    "events": pl.Float64,
    "categories": pl.List(pl.String),
    "price": pl.Float64,
}
"""Columns beside item_id that somebody in `eval` reads, and what they become."""


@dataclass(frozen=True, eq=False)
class Catalogue:
    """All items that could have been recommended.

    Attributes:
        size: number of items.
        items: one row an item; None where only their number is known. `item_id` and, where known,

            ==========  =============================================================================
            events      number >= 0: how often the item occurs in what was known before the truth
            categories  list of text: what the item belongs to, from the widest to the narrowest; a text
                        alone, or a column `category`, is a list of one
            price       number; null, NaN or infinite where unknown
            ==========  =============================================================================

            Other columns are kept.
        vectors: of the items, in the order of the rows; None where unknown.
    """

    size: int
    items: pl.DataFrame | None = None
    vectors: Vectors | None = None

    @classmethod
    def of(cls, items: pl.DataFrame, vectors: Vectors | None = None) -> "Catalogue":
        """A catalogue of the rows of `items` (see the class).

        Raises:
            InputError: an item_id is missing, null or there twice, a column cannot be read as above, an event
                count is negative or not finite, or there is not one finite vector for each row.
        """
        if "item_id" not in items.columns:
            raise InputError(
                "a catalogue with a column 'item_id'",
                f"columns {', '.join(items.columns) or 'none'}",
                "name the column item_id",
            )
        ids = Ids(items["item_id"].cast(pl.String))
        if "category" in items.columns and "categories" not in items.columns:
            items = items.rename({"category": "categories"})
        if "categories" in items.columns and items["categories"].dtype == pl.String:
            one = pl.when(pl.col("categories").is_not_null()).then(pl.concat_list("categories"))
            items = items.with_columns(categories=one)
        try:
            read = {name: items[name].cast(kind) for name, kind in COLUMNS.items() if name in items.columns}
        except pl.exceptions.PolarsError as error:
            first = str(error).splitlines()[0]
            raise InputError("columns of the catalogue of their type", first, "correct the column") from None
        if "events" in read and not read["events"].fill_null(-1).is_between(0, sys.float_info.max).all():
            raise InputError(
                "events of every item, 0 or more", "negative, null or infinite ones", "count them again"
            )
        if "price" in read:
            read["price"] = read["price"].set(~read["price"].is_finite(), None)
        if vectors is not None and len(vectors) != len(items):
            raise InputError(
                f"{len(items)} vectors, one for each item", f"{len(vectors)}", "pass those of the same items"
            )
        if vectors is not None and not np.isfinite(vectors.sum(axis=1, dtype=np.float64)).all():
            raise InputError("finite vectors", "NaN or infinite numbers", "look for what broke them")
        return cls(len(items), items.with_columns(item_id=ids.values, **read), vectors)

    def has(self, what: str) -> bool:
        """Whether that is known of the items: a column, or "vectors"."""
        if what == "vectors":
            return self.items is not None and self.vectors is not None
        return self.items is not None and what in self.items.columns

    def column(self, name: str) -> pl.Series:
        """What a column says of the items, in the order of the rows.

        Raises:
            InputError: it is not known.
        """
        if self.items is None or name not in self.items.columns:
            raise InputError(f"a catalogue with {name!r}", "none", f"give its items a column {name!r}")
        return self.items[name]

    @cached_property
    def ids(self) -> Ids | None:
        """Ids of the items, in the order of the rows."""
        return None if self.items is None else Ids(self.items["item_id"])

    def rows(self, ids: pl.Series) -> Rows | None:
        """Row of each of `ids`, int64, -1 for those outside; None where the ids are not known."""
        if self.ids is None:
            return None
        return ids.to_frame("id").select(self.ids.code("id").fill_null(-1)).to_series().to_numpy()

    @cached_property
    def _events(self) -> NDArray[np.float64]:
        return self.column("events").to_numpy()

    def popularity(self, rows: Rows) -> NDArray[np.float64]:
        """Smoothed share of the past events that the items at `rows` have, float64, in (0, 1).

        `(events of the item + 1) / (all events + items)`, Laplace's rule; an item outside (-1) has no events.
        """
        mine = np.where(rows >= 0, self._events[rows], 0)
        smoothed: NDArray[np.float64] = (mine + 1) / (self._events.sum() + self.size)
        return smoothed

    def most_popular(self, k: int) -> NDArray[np.bool_]:
        """Whether an item has as many events as the k-th most popular one, or more; bool (n_items)."""
        if k >= self.size:
            return np.ones(self.size, bool)
        least = np.partition(self._events, self.size - k)[self.size - k]
        among: NDArray[np.bool_] = self._events >= least
        return among

    def counted(self, past: pl.DataFrame) -> "Catalogue":
        """This catalogue with `events` counted in `past` (a column item_id, null in events without item)."""
        if self.items is None:
            return self
        counts = past.group_by(pl.col("item_id").cast(pl.String)).agg(events=pl.len().cast(pl.Float64))
        rest = self.items.drop("events", strict=False)
        return replace(
            self,
            items=rest.join(counts, on="item_id", how="left", maintain_order="left").with_columns(
                pl.col("events").fill_null(0.0)
            ),
        )
