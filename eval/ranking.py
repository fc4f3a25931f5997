"""The best items of every user among all items, exactly: no sampling, and never all scores in memory.

Scores are made block by block, some users times some items. Of each block only what beats a user's k-th best
so far is looked at again, so that memory is that of one block and of the result.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aisle.data.errors import InputError
from aisle.data.ids import Ids, Rows
from aisle.eval.lists import Lists
from aisle.eval.truth import places

Scores = NDArray[np.float32]
"""Scores of some users and items, float32 (users, items)."""

BlockScorer = Callable[[Rows, int, int], Scores]
"""Scores of the users at these rows and the items from one row up to another. What is not finite is never
recommended. The scores may be changed afterwards."""

USERS_AT_ONCE, ITEMS_AT_ONCE = 1024, 8192
"""Users and items of a block of scores (32 MiB)."""


class Seen(Protocol):
    """Items that may not be recommended, such as :class:`aisle.data.history.Histories`.

    User `u` has seen the item rows `items[offsets[u]:offsets[u + 1]]`.
    """

    @property
    def offsets(self) -> Rows:
        """int64 (n_users + 1), rising from 0."""
        ...

    @property
    def items(self) -> Rows:
        """int64 (n_seen)."""
        ...


@dataclass(frozen=True, eq=False)
class Ranked:
    """The best items of some users.

    Attributes:
        users: rows of the users, int64 (n).
        lists: item rows of each of them, best first; fewer than k where no more may be recommended.
        scores: of the same, float32 (n_listed).
    """

    users: Rows
    lists: Lists
    scores: Scores

    def run(self, users: Ids, items: Ids) -> pl.DataFrame:
        """As a run: user_id, rank, item_id, score."""
        return pl.DataFrame(
            {
                "user_id": users.values.gather(self.users[self.lists.users]),
                "rank": self.lists.ranks,
                "item_id": items.values.gather(self.lists.items),
                "score": self.scores.astype(np.float64),
            }
        )


def rank_all(
    score: BlockScorer,
    users: Rows,
    n_items: int,
    k: int,
    *,
    seen: Seen | None = None,
    users_at_once: int = USERS_AT_ONCE,
    items_at_once: int = ITEMS_AT_ONCE,
) -> Iterator[Ranked]:
    """The k best of all items for each user, by score and then by item row; some users at a time.

    Memory is some 14 bytes for each score of a block (`users_at_once` times `items_at_once`, or times 4 k if
    that is more), whatever the number of users and items.

    Args:
        users: rows of the users, int64 (n).
        seen: what each user row may not be recommended.

    Raises:
        InputError: k is below 1.
    """
    if k < 1:
        raise InputError("k of 1 or more", str(k), "ask for at least one item")
    width = max(items_at_once, 4 * k)
    for start in range(0, len(users), users_at_once):
        rows = users[start : start + users_at_once]
        masked = _masked(seen, rows)
        best = _Best(len(rows), k)
        for first in range(0, n_items, width):
            scores = score(rows, first, min(first + width, n_items))
            owners, items = masked.between(first, first + scores.shape[1])
            scores[owners, items - first] = -np.inf
            best.add(scores, first)
        yield Ranked(rows, best.lists(), best.scores)


def inner_products(users: Scores, items: Scores) -> BlockScorer:
    """Scores as inner products of user vectors (n_users, d) and item vectors (n_items, d).

    Raises:
        InputError: the dimensions differ, or a number is not finite.
    """
    if users.shape[1] != items.shape[1]:
        raise InputError(
            "user and item vectors of one dimension",
            f"{users.shape[1]} and {items.shape[1]}",
            "pass vectors of the same model",
        )
    for name, vectors in (("user", users), ("item", items)):
        if not np.isfinite(vectors.sum(axis=1, dtype=np.float64)).all():
            raise InputError(f"finite {name} vectors", "NaN or infinite numbers", "look for what broke them")

    def score(rows: Rows, first: int, last: int) -> Scores:
        products: Scores = users[rows] @ items[first:last].T
        return products

    return score


@dataclass(frozen=True, eq=False)
class _Masked:
    """Seen items of a block of users, by item."""

    owners: Rows
    items: Rows

    def between(self, first: int, last: int) -> tuple[Rows, Rows]:
        start, stop = np.searchsorted(self.items, [first, last])
        return self.owners[start:stop], self.items[start:stop]


def _masked(seen: Seen | None, rows: Rows) -> _Masked:
    if seen is None:
        return _Masked(np.zeros(0, np.int64), np.zeros(0, np.int64))
    mine = Lists(seen.offsets, seen.items).of(rows)
    order = np.argsort(mine.items, kind="stable")
    return _Masked(mine.users[order], mine.items[order])


class _Best:
    """The k best items so far of some users."""

    def __init__(self, users: int, k: int) -> None:
        self.k = k
        self.least = np.full(users, -np.inf, np.float32)
        self.owners = np.zeros(0, np.int64)
        self.items = np.zeros(0, np.int64)
        self.scores = np.zeros(0, np.float32)

    def add(self, scores: Scores, first: int) -> None:
        """Take in a block whose first column is the item row `first`, above all rows of earlier blocks."""
        chosen = np.greater(scores, self.least[:, None])
        if not len(self.items) and self.k < scores.shape[1]:
            scores = np.where(np.isfinite(scores), scores, np.float32(-np.inf))
            least = np.partition(scores, scores.shape[1] - self.k, axis=1)[:, scores.shape[1] - self.k]
            chosen &= scores >= least[:, None]
        owners, columns = np.divmod(np.flatnonzero(chosen), scores.shape[1])
        found = scores[owners, columns]
        finite = np.isfinite(found)
        if not finite.any():
            return
        owners = np.concatenate([self.owners, owners[finite]])
        items = np.concatenate([self.items, columns[finite] + first])
        values = np.concatenate([self.scores, found[finite]])
        order = np.lexsort((items, -values, owners))
        order = order[(rank := places(owners[order])) <= self.k]
        self.owners, self.items, self.scores = owners[order], items[order], values[order]
        full = rank[rank <= self.k] == self.k
        self.least[self.owners[full]] = self.scores[full]

    def lists(self) -> Lists:
        sizes = np.bincount(self.owners, minlength=len(self.least))
        return Lists(np.append(0, np.cumsum(sizes)), self.items)
