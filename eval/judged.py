"""A run seen through its truth, as flat arrays that every metric reads."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aisle.data.errors import InputError
from aisle.data.ids import Rows
from aisle.eval.catalogue import Catalogue, Vectors
from aisle.eval.lists import Lists
from aisle.eval.profiles import Profiles
from aisle.eval.truth import Gains, Part, Truth, places

UserScores = NDArray[np.float64]
"""One score a user, float64 (n_users)."""


@dataclass(frozen=True, eq=False)
class Judged:
    """One run, judged.

    A *hit* is a relevant item that the run returned, at any rank. Hits are ordered by user and rank, so
    that a metric is one weighted count over them instead of a pass over all rows.

    Attributes:
        hit_users: user rows, int64 (n_hits).
        hit_pairs: which pair of the truth was hit, int64 (n_hits).
        hit_items: the item as a position in `items`, int64 (n_hits).
        hit_ranks: ranks from 1, ties counted against the run, int64 (n_hits).
        hit_ends: rank of the last item of the same score, int64 (n_hits): the rank itself without ties.
        items: distinct items returned at any rank, String (n_items).
        whole: lists of all users of the run down to the depth asked for; items as positions in `items`.
        catalogue: what is known of the items.
        rows: rows of `items` in the catalogue, int64 (n_items), -1 for those outside; None without its ids.
        profiles: what the users of `whole` cared for before; None where it is not known.
        strangers: users of the run who are not in the truth.
        of: users whose lists in `whole` are meant, int64 (n_users); None for all.
        cut_offs: rising; metrics for which it is cheaper are computed at all of them together.
    """

    truth: Truth
    hit_users: Rows
    hit_pairs: Rows
    hit_items: Rows
    hit_ranks: Rows
    hit_ends: Rows
    items: pl.Series
    whole: Lists
    catalogue: Catalogue | None = None
    rows: Rows | None = None
    profiles: Profiles | None = None
    strangers: int = 0
    of: Rows | None = None
    cut_offs: Sequence[int] = ()

    @cached_property
    def hit_gains(self) -> Gains:
        """Gain of each hit, float64 (n_hits)."""
        return self.truth.gains[self.hit_pairs]

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

    @cached_property
    def lists(self) -> Lists:
        """What each user was shown, down to the depth asked for."""
        return self.whole if self.of is None else self.whole.of(self.of)

    @property
    def list_users(self) -> Rows:
        """User row of every item of `lists`, int64 (n_listed)."""
        return self.lists.users

    @property
    def list_items(self) -> Rows:
        """Position in `items` of the same, int64 (n_listed)."""
        return self.lists.items

    @property
    def list_ranks(self) -> Rows:
        """Rank of the same, from 1, int64 (n_listed)."""
        return self.lists.ranks

    def exposure(self, k: int) -> Rows:
        """Times that each of `items` in the catalogue is in somebody's first k, int64 (n_items or fewer)."""
        shown = np.bincount(self.lists.first(k).items, minlength=len(self.items))
        return shown if self.rows is None else shown[self.rows >= 0]

    @property
    def catalogue_size(self) -> int:
        """Items of the catalogue."""
        if self.catalogue is None:
            raise InputError("the size of the catalogue", "none given", "pass `catalogue`")
        return self.catalogue.size

    @property
    def known_catalogue(self) -> Catalogue:
        """The catalogue, if it says which items there are.

        Raises:
            InputError: it does not, or was not given.
        """
        if self.rows is None or self.catalogue is None:
            raise InputError("a catalogue with item_id", "none given", "pass `catalogue`")
        return self.catalogue

    @property
    def known_rows(self) -> Rows:
        """:attr:`rows`, if they are known."""
        self.known_catalogue  # noqa: B018
        assert self.rows is not None
        return self.rows

    def at_cut_offs(
        self, metric: Callable[["Judged", Sequence[int]], Sequence[UserScores]], k: int
    ) -> UserScores:
        """The scores of `metric` at k. Those at all `cut_offs`, which cost little more, are kept."""
        if k not in self.cut_offs:
            return metric(self, [k])[0]
        if metric not in self._kept:
            self._kept[metric] = metric(self, self.cut_offs)
        return self._kept[metric][self.cut_offs.index(k)]

    @cached_property
    def _kept(self) -> dict[Callable[..., Any], Sequence[UserScores]]:
        return {}

    @cached_property
    def popularity(self) -> NDArray[np.float64]:
        """Smoothed share of the past events that each of `items` has, float64 (n_items), in (0, 1)."""
        return self.known_catalogue.popularity(self.known_rows)

    @cached_property
    def pair_rows(self) -> Rows:
        """Row of the catalogue of each pair of the truth, int64 (n_pairs), -1 for items outside."""
        rows = self.known_catalogue.rows(self.truth.frame["item_id"])
        assert rows is not None
        return rows

    @cached_property
    def vectors(self) -> Vectors:
        """Vectors of `items`, float32 (n_items, dimension), zeros for items outside the catalogue."""
        catalogue = self.known_catalogue
        if catalogue.vectors is None:
            raise InputError("vectors of the items", "none given", "pass a catalogue with `vectors`")
        rows = self.known_rows
        return np.where(rows[:, None] >= 0, catalogue.vectors[rows], np.float32(0))

    @property
    def known_profiles(self) -> Profiles:
        """What users cared for.

        Raises:
            InputError: it is not known.
        """
        if self.profiles is None:
            raise InputError("profiles of the users", "none given", "pass `past`, and categories of items")
        return self.profiles

    def part(self, part: Part) -> "Judged":
        """The same run, judged by a part of its truth: equal to judging it again, without reading it.

        What is not relevant in the part keeps its place. Among items of equal score it now comes before those
        that are, so that these move down.
        """
        users, pairs = np.full(len(self.truth), -1), np.full(len(self.truth.frame), -1)
        users[part.users], pairs[part.pairs] = np.arange(len(part.users)), np.arange(len(part.pairs))
        kept = pairs[self.hit_pairs] >= 0
        owners, ends = self.hit_users[kept], self.hit_ends[kept]
        tied = np.cumsum(np.append(True, (owners[1:] != owners[:-1]) | (ends[1:] != ends[:-1]))[: len(ends)])
        return Judged(
            part.truth,
            hit_users=users[owners],
            hit_pairs=pairs[self.hit_pairs[kept]],
            hit_items=self.hit_items[kept],
            hit_ranks=ends + 1 - places(tied[::-1])[::-1],
            hit_ends=ends,
            items=self.items,
            whole=self.whole,
            catalogue=self.catalogue,
            rows=self.rows,
            profiles=self.profiles,
            strangers=self.strangers,
            of=part.users if self.of is None else self.of[part.users],
            cut_offs=self.cut_offs,
        )
