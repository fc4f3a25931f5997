"""A run seen through its truth, as flat arrays that every metric reads."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aisle.data.errors import InputError
from aisle.data.ids import Ids, Rows
from aisle.eval.catalogue import Catalogue

UserScores = NDArray[np.float64]
"""One score a user, float64 (n_users)."""

Gains = NDArray[np.float64]
"""Relevances, float64: 0 is not relevant, larger is more relevant."""


@dataclass(frozen=True)
class Truth:
    """What every user wanted. Users are in sorted order of their ids; their rows number everything else.

    Attributes:
        users: all users that count, also those without any relevant item.
        frame: user (row), item_id, gain; relevant items only, by user and then from the largest gain down.
        user_kind: how user ids were written, "text" or "whole numbers".
        item_kind: the same for item ids.
        repeats: rows that said the same as an earlier one.
    """

    users: Ids
    frame: pl.DataFrame
    user_kind: str = "text"
    item_kind: str = "text"
    repeats: int = 0

    def __len__(self) -> int:
        return len(self.users)

    @cached_property
    def owners(self) -> Rows:
        """User row of each relevant item, int64 (n_relevant), ascending."""
        return self.frame["user"].to_numpy()

    @cached_property
    def gains(self) -> Gains:
        """Gain of each relevant item, float64 (n_relevant), descending within a user."""
        return self.frame["gain"].to_numpy()

    @cached_property
    def relevant(self) -> Rows:
        """Relevant items per user, int64 (n_users)."""
        return np.bincount(self.owners, minlength=len(self))

    @cached_property
    def ranks(self) -> Rows:
        """Rank of each relevant item in the user's best possible list, from 1, int64 (n_relevant)."""
        return places(self.owners)


@dataclass(frozen=True)
class Judged:
    """One run, judged.

    A *hit* is a relevant item that the run returned, at any rank. Hits are ordered by user and rank, so
    that a metric is one weighted count over them instead of a pass over all rows.

    Attributes:
        hit_users: user rows, int64 (n_hits).
        hit_ranks: ranks from 1, ties counted against the run, int64 (n_hits).
        hit_gains: gains, float64 (n_hits).
        list_users: user row of every returned item down to the depth asked for, int64 (n_listed).
        list_items: position in `items` of the same, int64 (n_listed).
        list_ranks: rank of the same, from 1, int64 (n_listed).
        items: distinct items returned at any rank, String (n_items).
        catalogue: what is known of the items.
        rows: rows of `items` in the catalogue, int64 (n_items), -1 for those outside; None without its ids.
    """

    truth: Truth
    hit_users: Rows
    hit_ranks: Rows
    hit_gains: Gains
    list_users: Rows
    list_items: Rows
    list_ranks: Rows
    items: pl.Series
    catalogue: Catalogue | None = None
    rows: Rows | None = None

    @cached_property
    def hit_ordinals(self) -> Rows:
        """1 for a user's first hit, 2 for the second and so on, int64 (n_hits)."""
        return places(self.hit_users)

    def sum_hits(self, weights: NDArray[np.float64], k: int) -> UserScores:
        """Sum of `weights` (n_hits) over each user's hits at rank <= k."""
        within = self.hit_ranks <= k
        sums = np.bincount(self.hit_users[within], weights[within], minlength=len(self.truth))
        return sums.astype(np.float64, copy=False)

    def hits(self, k: int) -> UserScores:
        """Number of relevant items in each user's first k."""
        return self.sum_hits(np.ones(len(self.hit_ranks)), k)

    def per_relevant(self, scores: UserScores) -> UserScores:
        """`scores` divided by the user's number of relevant items; 0 for a user who has none."""
        return scores / np.maximum(self.truth.relevant, 1)

    def exposure(self, k: int) -> Rows:
        """Times that each of `items` in the catalogue is in somebody's first k, int64 (n_items or fewer)."""
        shown = np.bincount(self.list_items[self.list_ranks <= k], minlength=len(self.items))
        return shown if self.rows is None else shown[self.rows >= 0]

    @property
    def catalogue_size(self) -> int:
        """Items of the catalogue."""
        if self.catalogue is None:
            raise InputError("the size of the catalogue", "none given", "pass `catalogue`")
        return self.catalogue.size

    @property
    def popularity(self) -> NDArray[np.float64]:
        """Smoothed share of the past events that each of `items` has, float64 (n_items), in (0, 1)."""
        if self.rows is None or self.catalogue is None:
            raise InputError("the popularity of items", "none given", "pass a catalogue with `events`")
        events = self.catalogue.column("events").to_numpy()
        mine: NDArray[np.float64] = np.where(self.rows >= 0, events[self.rows], 0)
        smoothed: NDArray[np.float64] = (mine + 1) / (events.sum() + self.catalogue.size)
        return smoothed


def places(owners: Rows) -> Rows:
    """Place of each element among those of its owner, from 1; owners are grouped.

    >>> places(np.array([0, 0, 3, 3, 3]))
    array([1, 2, 1, 2, 3])
    """
    if not len(owners):
        return np.zeros(0, np.int64)
    starts = np.flatnonzero(np.append(True, owners[1:] != owners[:-1]))
    lengths = np.diff(np.append(starts, len(owners)))
    return np.arange(1, len(owners) + 1) - np.repeat(starts, lengths)


def judge(
    run: pl.DataFrame,
    truth: Truth,
    *,
    depth: int,
    catalogue: Catalogue | None = None,
) -> Judged:
    """Rank the items of a checked run (:func:`aisle.eval.runs.check_run`) and mark the relevant ones.

    The score alone decides the rank, from large to small. Among items of one user with equal scores the less
    relevant come first, so that a tie never helps; among equally relevant ones the order of the rows stays.

    Args:
        depth: ranks kept of every list, for the metrics over whole lists; hits are kept at any rank.
        catalogue: what is known of the items.

    Raises:
        InputError: the same item twice for one user, or more distinct items than the catalogue has.
    """
    known = run.with_columns(user=truth.users.code("user_id")).drop_nulls("user")
    items = known["item_id"].unique(maintain_order=True)
    codes = pl.DataFrame({"item_id": items, "item": np.arange(len(items), dtype=np.int64)})
    ranked = (
        known.join(codes, on="item_id", maintain_order="left")
        .join(truth.frame, on=["user", "item_id"], how="left", maintain_order="left")
        .select("user", "item", "score", pl.col("gain").fill_null(0.0))
        .sort("user", "score", "gain", descending=[False, True, False], maintain_order=True)
    )
    users, listed = ranked["user"].to_numpy(), ranked["item"].to_numpy()
    _each_item_once(users, listed, truth, items)
    gains, ranks = ranked["gain"].to_numpy(), places(users)
    hit, kept = gains > 0, ranks <= depth
    return Judged(
        truth,
        hit_users=users[hit],
        hit_ranks=ranks[hit],
        hit_gains=gains[hit],
        list_users=users[kept],
        list_items=listed[kept],
        list_ranks=ranks[kept],
        items=items,
        catalogue=catalogue,
        rows=None if catalogue is None else _rows(items, catalogue),
    )


def _each_item_once(users: Rows, listed: Rows, truth: Truth, items: pl.Series) -> None:
    pairs = np.sort(users * len(items) + listed)
    repeated = pairs[1:][pairs[1:] == pairs[:-1]]
    if len(repeated):
        user, item = divmod(int(repeated[0]), len(items))
        raise InputError(
            "each item at most once for a user",
            f"{len(repeated)} repeats, such as item {items[item]!r} of user {truth.users.values[user]!r}",
            "keep the best row of each user and item",
        )


def _rows(items: pl.Series, catalogue: Catalogue) -> Rows | None:
    rows = catalogue.rows(items)
    if rows is None and len(items) > catalogue.size:
        raise InputError(
            f"at most {catalogue.size} distinct items, the size of the catalogue",
            f"{len(items)} distinct items in the run",
            "pass the number of items in the whole catalogue",
        )
    return rows
