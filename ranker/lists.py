"""Candidates of users, side by side, with what the retriever says of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aisle.data.errors import InputError
from aisle.data.ids import Ids, Rows
from aisle.data.ragged import Ragged, offsets_of_sizes

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Lists(Ragged):
    """Lists of items in compressed sparse rows: list `l` owns `offsets[l]:offsets[l + 1]`, best first.

    Attributes:
        users: user row of each list, int64 (lists).
        offsets: int64 (lists + 1).
        items: item rows, int64 (pairs).
        scores: of the retriever, float32 (pairs); NaN where it was not asked.
        sources: what each of its sources says, float32 (pairs), by name.
    """

    users: Rows
    offsets: Rows
    items: Rows
    scores: Floats
    sources: Mapping[str, Floats]

    @cached_property
    def owner(self) -> Rows:
        """Place of the list of each pair, int64 (pairs)."""
        return self.owners()

    @cached_property
    def ranks(self) -> Rows:
        """Place of each pair in its list, from 1."""
        return np.arange(len(self.items)) - self.offsets[self.owner] + 1

    @classmethod
    def of(cls, candidates: pl.DataFrame, users: Ids, items: Ids) -> "Lists":
        """Lists of a table of candidates: user_id, item_id, score, and a column for each source.

        Within a user, larger scores come first, and equal ones in the order of the table.

        Raises:
            InputError: a user or an item is unknown, or is there twice.
        """
        names = [name for name in candidates.columns if name not in ("user_id", "rank", "item_id", "score")]
        rows = candidates.with_columns(
            users.code("user_id").alias("__user"), items.code("item_id").alias("__item")
        )
        unknown = rows.filter(pl.col("__user").is_null() | pl.col("__item").is_null())
        if len(unknown):
            first = unknown.row(0, named=True)
            raise InputError(
                "candidates of this shop's users and items",
                f"user {first['user_id']!r} with item {first['item_id']!r}, one of which it does not know",
                "rank candidates of the shop that the ranker was trained on",
            )
        rows = rows.sort(
            "__user",
            pl.col("score").fill_nan(None),
            descending=[False, True],
            nulls_last=True,
            maintain_order=True,
        )
        if rows.select(pl.struct("__user", "__item").is_duplicated().any()).item():
            raise InputError("each item once in a list", "an item twice", "drop repeated rows")
        owners, counts = np.unique(rows["__user"].to_numpy(), return_counts=True)
        return cls(
            owners.astype(np.int64),
            offsets_of_sizes(counts),
            rows["__item"].to_numpy().astype(np.int64),
            rows["score"].cast(pl.Float32).fill_null(np.nan).to_numpy(),
            {name: rows[name].cast(pl.Float32).fill_null(np.nan).to_numpy() for name in names},
        )

    def take(self, places: Rows) -> "Lists":
        """Some of the lists, by place."""
        pairs = self.pairs_of(places)
        return Lists(
            self.users[places],
            offsets_of_sizes(self.sizes[places]),
            self.items[pairs],
            self.scores[pairs],
            {name: values[pairs] for name, values in self.sources.items()},
        )

    def pairs_of(self, places: Rows) -> Rows:
        """Places of the pairs of some lists, list after list."""
        sizes = self.sizes[places]
        starts = np.repeat(self.offsets[places] - np.concatenate([[0], np.cumsum(sizes)[:-1]]), sizes)
        return starts + np.arange(sizes.sum())

    def labels(self, relevant: Sequence[Rows]) -> NDArray[np.bool_]:
        """Whether each pair's item is among the relevant ones of its list, bool (pairs)."""
        found = np.zeros(len(self.items), bool)
        for place, rows in enumerate(relevant):
            here = slice(self.offsets[place], self.offsets[place + 1])
            found[here] = np.isin(self.items[here], rows)
        return found
