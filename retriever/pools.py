"""Pools: the items that could be a user's best ones, with what every source says of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

from aisle.data.ids import Rows
from aisle.data.ragged import Ragged, offsets_of_owners, offsets_of_sizes, spans

CUT = 10


@dataclass(frozen=True)
class Pool(Ragged):
    """Items of some users, in compressed sparse rows: user `u` owns `offsets[u]:offsets[u + 1]`.

    Attributes:
        offsets: int64 (users + 1).
        items: item rows, int64 (n), ascending within a user.
        catalogue: number of items that there are.
    """

    offsets: Rows
    items: Rows
    catalogue: int

    @classmethod
    def union(cls, lists: Sequence[tuple[Rows, Rows]], users: int, catalogue: int) -> "Pool":
        """Distinct pairs of several lists, each as users (places from 0) and item rows of equal length."""
        keys = np.concatenate([user * catalogue + item for user, item in lists])
        keys.sort(kind="stable")  # which uses that users stand in order in each list; np.unique hashes
        keys = keys[np.flatnonzero(np.diff(keys, prepend=-1))]
        return cls(offsets_of_owners(keys // catalogue, users), keys % catalogue, catalogue)

    @classmethod
    def stack(cls, pools: Sequence["Pool"]) -> "Pool":
        """The users of several pools of one catalogue, one pool after the other."""
        offsets = offsets_of_sizes(np.concatenate([pool.sizes for pool in pools]))
        return cls(offsets, np.concatenate([pool.items for pool in pools]), pools[0].catalogue)

    @cached_property
    def owner(self) -> Rows:
        """Place of the user of each item, int64 (n)."""
        return self.owners()

    @cached_property
    def _keys(self) -> Rows:
        return self.owner * self.catalogue + self.items

    def positions(self, lists: Sequence[Rows]) -> Rows:
        """Positions in the pool of `lists`, item rows of each user; pairs outside the pool are left out."""
        owner = np.repeat(np.arange(len(lists)), [len(rows) for rows in lists])
        return self.find(owner * self.catalogue + np.concatenate([*lists, np.empty(0, np.int64)]))[1]

    def find(self, keys: Rows) -> tuple[Rows, Rows]:
        """Which of `keys`, user * catalogue + item, are in the pool, and where: both int64 (found)."""
        if not len(self._keys):
            return np.empty(0, np.int64), np.empty(0, np.int64)
        place = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        found = np.flatnonzero(self._keys[place] == keys)
        return found, place[found]

    def within(self, other: "Pool") -> tuple[Rows, Rows]:
        """Positions of the pairs that both pools hold: in this one, and in `other`."""
        place, there = other.find(self._keys)
        return place, there

    def without(self, lists: Sequence[Rows]) -> tuple["Pool", Rows]:
        """The pool without some items of each user, and the positions that are left."""
        kept = np.ones(len(self.items), np.bool_)
        kept[self.positions(lists)] = False
        left = np.flatnonzero(kept)
        return self.at(left), left

    def at(self, positions: Rows) -> "Pool":
        """The pool of what stands at some positions, rising."""
        offsets = offsets_of_owners(self.owner[positions], len(self))
        return Pool(offsets, self.items[positions], self.catalogue)

    def best(self, scores: Float[NDArray[np.float32], " n"], k: int) -> tuple[Rows, Rows]:
        """The `k` best items of each user, best first, equal scores by item row.

        Returns:
            Positions in the pool, by user and rank, and the rank of each, from 1.
        """
        negative = -scores
        bounds = zip(self.offsets[:-1].tolist(), self.offsets[1:].tolist(), strict=True)
        orders = [start + negative[start:stop].argsort(kind="stable")[:k] for start, stop in bounds]
        sizes = np.minimum(self.sizes, k)
        rank = spans(np.ones_like(sizes), sizes)
        return np.concatenate([*orders, np.empty(0, np.int64)]), rank


class Judged:
    """ndcg@10 of scores over a pool, for many scores over the same one.

    Relevant items outside the pool count as not found. Ties count against (Järvelin & Kekäläinen 2002,
    binary gains).

    Args:
        pool: items of the users.
        relevant: relevant item rows of each user, at least one.
    """

    def __init__(self, pool: Pool, relevant: Sequence[Rows]) -> None:
        self._targets = np.sort(pool.positions(relevant))
        self._relevant: Bool[NDArray[np.bool_], " n"] = np.zeros(len(pool.items), bool)
        self._relevant[self._targets] = True
        self._users = pool.owner[self._targets]
        lengths = pool.sizes[self._users]
        self._starts = offsets_of_sizes(lengths)[:-1]
        self._against = spans(pool.offsets[self._users], lengths)
        self._lengths = lengths
        sizes = np.minimum([len(rows) for rows in relevant], CUT)
        self._ideal = np.concatenate([[0], np.cumsum(1 / np.log2(np.arange(CUT) + 2))])[sizes]

    def gains(self, scores: Float[NDArray[np.float32], " n"]) -> Float[NDArray[np.float64], " users"]:
        """ndcg@10 of each user."""
        if not len(self._targets):
            return np.zeros(len(self._ideal))
        of_target = scores[self._targets]
        behind = scores[self._against] < np.repeat(of_target, self._lengths)
        ahead = ~behind & ~self._relevant[self._against]  # NaN is behind nothing
        others: Int[NDArray[np.int64], " targets"] = np.add.reduceat(ahead.astype(np.int64), self._starts)
        order = np.lexsort((-of_target, self._users))
        first = np.concatenate([[True], self._users[order][1:] != self._users[order][:-1]])
        among = np.arange(len(order)) - np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))
        places = others[order] + among
        gains = np.where(places < CUT, 1 / np.log2(places + 2), 0.0)
        sums = np.bincount(self._users[order], gains, minlength=len(self._ideal)).astype(np.float64)
        shares: NDArray[np.float64] = sums / self._ideal
        return shares

    def ndcg(self, scores: Float[NDArray[np.float32], " n"]) -> float:
        """Mean ndcg@10 over all users."""
        return float(self.gains(scores).mean())
