"""Candidate sources of a shop: towers and co-occurrence, asked together about the same users."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from scipy import sparse

from aisle.data.ids import Rows
from aisle.data.prepared import Part
from aisle.index.exact import NONE, ExactIndex
from aisle.index.settings import IndexSettings
from aisle.retriever.cooccurrence import CoOccurrence
from aisle.retriever.fusion import Fusion
from aisle.retriever.pools import Pool
from aisle.retriever.towers import TwoTower
from aisle.retriever.users import Users

CO_OCCURRENCE = "co_occurrence"
"""Name of the source that is not a tower."""

PAIRS_AT_ONCE = 1 << 18
"""User-item pairs whose vectors are in memory at once."""

Vectors = Float[NDArray[np.float32], "n dim"]
Scores = Float[NDArray[np.float32], " n"]


@dataclass(frozen=True)
class Asked:
    """What the sources know of some users.

    Attributes:
        vectors: of the users, for each tower, float32 (users, dim).
        shares: of each item in a user's co-occurrence, seen items left out: float32 (users, items), rows sum
            to 1 or are empty.
        seen: item rows that must not be recommended to each user.
    """

    vectors: Sequence[Vectors]
    shares: sparse.csr_array
    seen: Sequence[Rows]

    def __len__(self) -> int:
        return len(self.seen)

    def co_occurring(self) -> tuple[Rows, Rows]:
        """All pairs with a share: place of the user, item row."""
        owner = np.repeat(np.arange(len(self)), np.diff(self.shares.indptr))
        return owner.astype(np.int64), self.shares.indices.astype(np.int64)

    def shares_of(self, pool: Pool) -> Scores:
        """Share of each pair of the pool; 0 where there is no co-occurrence."""
        owner, items = self.co_occurring()
        if not len(items):
            return np.zeros(len(pool.items), np.float32)
        keys = owner * self.shares.shape[1] + items
        wanted = pool.owner * self.shares.shape[1] + pool.items
        place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        return np.where(keys[place] == wanted, self.shares.data[place], 0).astype(np.float32)


@dataclass(frozen=True)
class Sources:
    """Everything that scores items for a user.

    Attributes:
        towers: by name; the main one first.
        temperatures: of each tower.
        co_occurrence: similarities of items; None where it is not a source.
        users: how the towers read a shop's users.
        seen_users: histories whose items must not be recommended are those of `users` over these kinds.
    """

    towers: Mapping[str, TwoTower]
    temperatures: Sequence[float]
    co_occurrence: CoOccurrence | None
    users: Users

    @property
    def names(self) -> list[str]:
        """Names of all sources."""
        return [*self.towers, *([CO_OCCURRENCE] if self.co_occurrence else [])]

    @cached_property
    def item_vectors(self) -> list[Vectors]:
        """Vectors of the catalogue, by tower, float32 (items, dim)."""
        with torch.inference_mode():
            return [tower.item_vectors().float().cpu().numpy() for tower in self.towers.values()]

    def ask(self, user_rows: Rows, *past: Part) -> Asked:
        """What the sources know of users after the events of `past`."""
        with torch.inference_mode():
            vectors = [
                self.users.vectors(tower, user_rows, *past).float().cpu().numpy()
                for tower in self.towers.values()
            ]
        seen = self.users.seen(*past).seen(user_rows)
        return Asked(vectors, self._shares(user_rows, seen, *past), seen)

    def _shares(self, user_rows: Rows, seen: Sequence[Rows], *past: Part) -> sparse.csr_array:
        shape = (len(user_rows), len(self.item_vectors[0]))
        if self.co_occurrence is None:
            return sparse.csr_array(shape, dtype=np.float32)
        scores = self.co_occurrence.scores(self.users.histories(*past), user_rows)
        pool = Pool(scores.indptr.astype(np.int64), scores.indices.astype(np.int64))
        kept = pool.places_without(seen, shape[1])
        owner, values = pool.owner[kept], scores.data[kept]
        sums = np.bincount(owner, values, minlength=len(user_rows))
        return sparse.csr_array((values / sums[owner], (owner, pool.items[kept])), shape, dtype=np.float32)

    def logits(self, asked: Asked, pool: Pool) -> list[Scores]:
        """Similarity / temperature of each pair of the pool, by tower."""
        found = []
        for users, items, temperature in zip(
            asked.vectors, self.item_vectors, self.temperatures, strict=True
        ):
            logits = np.empty(len(pool.items), np.float32)
            for start in range(0, len(logits), PAIRS_AT_ONCE):
                some = slice(start, start + PAIRS_AT_ONCE)
                np.einsum(
                    "nd,nd->n", users[pool.owner[some]], items[pool.items[some]], out=logits[some]
                )
            found.append(logits / np.float32(temperature))
        return found

    def indexed(self, fusion: Fusion, prior: Scores) -> Vectors:
        """Vectors whose inner products with :meth:`queries` are the towers' part of the fused score.

        The towers' vectors stand side by side, weighted, and the prior behind them.
        """
        weighted = zip(fusion.towers, self.temperatures, self.item_vectors, strict=True)
        parts = [np.float32(weight / temperature) * vectors for weight, temperature, vectors in weighted]
        return np.concatenate([*parts, prior[:, None]], axis=1, dtype=np.float32)

    def queries(self, asked: Asked) -> Vectors:
        """Vectors of users for an index of :meth:`indexed` vectors."""
        ones = np.ones((len(asked), 1), np.float32)
        return np.concatenate([*asked.vectors, ones], axis=1, dtype=np.float32)


def nearest(index: ExactIndex, queries: Vectors, k: int, seen: Sequence[Rows]) -> tuple[Rows, Rows]:
    """The `k` best unseen items of each query as pairs: place of the query, item row."""
    _, rows = index.search(queries, k, seen)
    user, place = np.nonzero(rows != NONE)
    return user.astype(np.int64), rows[user, place]


def index_of(vectors: Vectors) -> ExactIndex:
    """An exact index of one tower's vectors, wherever there is room."""
    return ExactIndex(vectors, IndexSettings())
