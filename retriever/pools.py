"""Pools: the items that could be a user's best ones, with what every source says of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

from aisle.data.ids import Rows

CUT = 10


@dataclass(frozen=True)
class Pool:
    """Items of some users, in compressed sparse rows: user `u` owns `offsets[u]:offsets[u + 1]`.

    Attributes:
        offsets: int64 (users + 1).
        items: item rows, int64 (n), ascending within a user.
    """

    offsets: Rows
    items: Rows

    @classmethod
    def union(cls, lists: Sequence[tuple[Rows, Rows]], users: int, items: int) -> "Pool":
        """Distinct pairs of several lists, each as users (places from 0) and item rows of equal length."""
        keys = np.unique(np.concatenate([user * items + item for user, item in lists]))
        counts = np.bincount(keys // items, minlength=users)
        return cls(np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), keys % items)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def sizes(self) -> Rows:
        """Items of each user."""
        return np.diff(self.offsets)

    @cached_property
    def owner(self) -> Rows:
        """Place of the user of each item, int64 (n)."""
        return np.repeat(np.arange(len(self)), self.sizes)

    def places_without(self, seen: Sequence[Rows], items: int) -> Rows:
        """Positions in the pool that no user has seen; `items` is the size of the catalogue."""
        owner = np.repeat(np.arange(len(seen)), [len(rows) for rows in seen])
        unwanted = owner * items + np.concatenate([*seen, np.empty(0, np.int64)])
        return np.flatnonzero(~np.isin(self.owner * items + self.items, unwanted))

    def best(self, scores: Float[NDArray[np.float32], " n"], k: int) -> tuple[Rows, Rows]:
        """The `k` best items of each user, best first, equal scores by item row.

        Returns:
            Positions in the pool, by user and rank, and the rank of each, from 1.
        """
        order = np.lexsort((self.items, -scores, self.owner))
        rank = np.arange(len(order)) - self.offsets[self.owner[order]] + 1
        kept = rank <= k
        return order[kept], rank[kept]


class Judged:
    """ndcg@10 of scores over a pool, for many scores over the same one.

    Relevant items outside the pool count as not found. Ties count against (Järvelin & Kekäläinen 2002,
    binary gains).

    Args:
        pool: items of the users.
        relevant: relevant item rows of each user, at least one.
        items: size of the catalogue.
    """

    def __init__(self, pool: Pool, relevant: Sequence[Rows], items: int) -> None:
        wanted = np.repeat(np.arange(len(relevant)), [len(rows) for rows in relevant])
        keys = wanted * items + np.concatenate(relevant)
        self._relevant: Bool[NDArray[np.bool_], " n"] = np.isin(pool.owner * items + pool.items, keys)
        self._targets = np.flatnonzero(self._relevant)
        self._users = pool.owner[self._targets]
        lengths = pool.sizes[self._users]
        self._starts = np.concatenate([[0], np.cumsum(lengths)])[:-1].astype(np.int64)
        within = np.arange(lengths.sum()) - np.repeat(self._starts, lengths)
        self._against = np.repeat(pool.offsets[self._users], lengths) + within
        self._lengths = lengths
        sizes = np.minimum([len(rows) for rows in relevant], CUT)
        self._ideal = np.concatenate([[0], np.cumsum(1 / np.log2(np.arange(CUT) + 2))])[sizes]

    def gains(self, scores: Float[NDArray[np.float32], " n"]) -> Float[NDArray[np.float64], " users"]:
        """ndcg@10 of each user."""
        if not len(self._targets):
            return np.zeros(len(self._ideal))
        of_target = scores[self._targets]
        ahead = (scores[self._against] >= np.repeat(of_target, self._lengths)) & ~self._relevant[self._against]
        others: Int[NDArray[np.int64], " targets"] = np.add.reduceat(ahead.astype(np.int64), self._starts)
        order = np.lexsort((-of_target, self._users))
        first = np.concatenate([[True], self._users[order][1:] != self._users[order][:-1]])
        among = np.arange(len(order)) - np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))
        places = others[order] + among
        gains = np.where(places < CUT, 1 / np.log2(places + 2), 0.0)
        return np.bincount(self._users[order], gains, minlength=len(self._ideal)) / self._ideal

    def ndcg(self, scores: Float[NDArray[np.float32], " n"]) -> float:
        """Mean ndcg@10 over all users."""
        return float(self.gains(scores).mean())
