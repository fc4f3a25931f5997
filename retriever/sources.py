"""Candidate sources of a shop: towers, texts and co-occurrence, asked together about the same users."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray

from aisle.data.ids import Rows
from aisle.data.prepared import Part
from aisle.index.base import NONE, Index
from aisle.index.exact import ExactIndex
from aisle.index.settings import IndexSettings
from aisle.retriever.cooccurrence import CoOccurrence
from aisle.retriever.fusion import Fusion
from aisle.retriever.pools import Pool
from aisle.retriever.similarity import TEMPERATURE, TextSimilarity
from aisle.retriever.towers import TwoTower
from aisle.retriever.users import Users

CO_OCCURRENCE = "co_occurrence"
"""Name of the source that has no vectors."""

TEXT_SIMILARITY = "text_similarity"
"""Name of the source whose vectors are those of the language model."""

Vectors = Float[NDArray[np.float32], "n _"]
Scores = Float[NDArray[np.float32], " pairs"]


@dataclass(frozen=True)
class Asked:
    """What the sources know of some users.

    Attributes:
        vectors: of the users, for each source with vectors, float32 (users, dim).
        co_occurring: unseen items that occurred together with a user's.
        shares: of each of these in its user's co-occurrence; those of a user sum to 1.
        seen: item rows that must not be recommended to each user.
    """

    vectors: Sequence[Vectors]
    co_occurring: Pool
    shares: Scores
    seen: Sequence[Rows]

    def __len__(self) -> int:
        return len(self.seen)

    def shares_of(self, pool: Pool) -> Scores:
        """Share of each pair of the pool; 0 where there is no co-occurrence."""
        found = np.zeros(len(pool.items), np.float32)
        here, there = pool.within(self.co_occurring)
        found[here] = self.shares[there]
        return found


@dataclass(frozen=True)
class Sources:
    """Everything that scores items for a user.

    Attributes:
        towers: by name; the main one first.
        temperatures: of each tower.
        similarity: of texts; None where it is not a source.
        co_occurrence: similarities of items; None where it is not a source.
        users: how the towers read a shop's users.
        item_vectors: of the catalogue, by source with vectors, float32 (items, dim).
    """

    towers: Mapping[str, TwoTower]
    temperatures: Mapping[str, float]
    similarity: TextSimilarity | None
    co_occurrence: CoOccurrence | None
    users: Users
    item_vectors: Sequence[Vectors]

    @classmethod
    def of(
        cls,
        towers: Mapping[str, TwoTower],
        temperatures: Mapping[str, float],
        similarity: TextSimilarity | None,
        co_occurrence: CoOccurrence | None,
        users: Users,
    ) -> "Sources":
        """The sources, with the catalogue's vectors computed."""
        vectors = item_vectors(towers, similarity)
        return cls(towers, temperatures, similarity, co_occurrence, users, vectors)

    @property
    def divisors(self) -> dict[str, float]:
        """Temperature of each source with vectors, by name; the main towers first."""
        return divisors(self.temperatures, self.similarity)

    @property
    def names(self) -> list[str]:
        """Names of all sources."""
        return [*self.divisors, *([CO_OCCURRENCE] if self.co_occurrence else [])]

    def ask(self, user_rows: Rows, *past: Part) -> Asked:
        """What the sources know of users after the events of `past`."""
        with torch.inference_mode():
            vectors = [
                self.users.vectors(tower, user_rows, *past).float().cpu().numpy()
                for tower in self.towers.values()
            ]
        if self.similarity:
            vectors.append(self.similarity.users(self.users.histories(*past), user_rows))
        seen = self.users.seen(*past).seen(user_rows)
        pool, shares = self._shares(user_rows, seen, *past)
        return Asked(vectors, pool, shares, seen)

    def _shares(self, user_rows: Rows, seen: Sequence[Rows], *past: Part) -> tuple[Pool, Scores]:
        if self.co_occurrence is None:
            nothing = np.zeros(len(user_rows) + 1, np.int64)
            return Pool(nothing, nothing[:0], len(self.item_vectors[0])), np.empty(0, np.float32)
        return self.co_occurrence.shares(self.users.histories(*past), user_rows, seen)

    def logits(self, asked: Asked, pool: Pool) -> list[Scores]:
        """Similarity / temperature of each pair of the pool, by source with vectors."""
        found = []
        for users, items, temperature in zip(
            asked.vectors, self.item_vectors, self.divisors.values(), strict=True
        ):
            logits = np.empty(len(pool.items), np.float32)
            for user, (start, stop) in enumerate(pairwise(pool.offsets.tolist())):
                np.dot(items.take(pool.items[start:stop], axis=0), users[user], out=logits[start:stop])
            found.append(logits / np.float32(temperature))
        return found

    def indexed(self, fusion: Fusion, prior: Float[NDArray[np.float32], " items"]) -> Vectors:
        """Vectors whose inner products with :meth:`queries` are the vectors' part of the fused score.

        The sources' vectors stand side by side, weighted, and the prior behind them.
        """
        return side_by_side(fusion, self.divisors, self.item_vectors, prior)

    def queries(self, asked: Asked) -> Vectors:
        """Vectors of users for an index of :meth:`indexed` vectors."""
        ones = np.ones((len(asked), 1), np.float32)
        return np.concatenate([*asked.vectors, ones], axis=1, dtype=np.float32)


def item_vectors(towers: Mapping[str, TwoTower], similarity: TextSimilarity | None) -> list[Vectors]:
    """Vectors of the catalogue, by source with vectors."""
    with torch.inference_mode():
        vectors = [tower.item_vectors().float().cpu().numpy() for tower in towers.values()]
    return [*vectors, similarity.vectors] if similarity else vectors


def divisors(temperatures: Mapping[str, float], similarity: TextSimilarity | None) -> dict[str, float]:
    """Temperature of each source with vectors, by name; the main towers first."""
    return {**temperatures, **({TEXT_SIMILARITY: TEMPERATURE} if similarity else {})}


def side_by_side(
    fusion: Fusion,
    temperatures: Mapping[str, float],
    vectors: Sequence[Vectors],
    prior: Float[NDArray[np.float32], " items"],
) -> Vectors:
    """Vectors of several sources, weighted, and the prior behind them (:meth:`Sources.indexed`)."""
    weighted = zip(fusion.vectors, temperatures.values(), vectors, strict=True)
    parts = [np.float32(weight / temperature) * some for weight, temperature, some in weighted]
    return np.concatenate([*parts, prior[:, None]], axis=1, dtype=np.float32)


def nearest(
    index: Index, queries: Vectors, k: int, seen: Sequence[Rows], allowed: NDArray[np.bool_] | None = None
) -> tuple[Rows, Rows]:
    """The `k` best unseen items of each query as pairs: place of the query, item row.

    Args:
        index: of the items.
        queries: float32 (users, dim).
        k: items of each.
        seen: item rows that each must not get.
        allowed: bool (items,), the only ones that anybody may get; None: all of them.
    """
    _, rows = index.search(queries, k, seen, allowed)
    user, place = np.nonzero(rows != NONE)
    return user.astype(np.int64), rows[user, place]


def index_of(vectors: Vectors) -> ExactIndex:
    """An exact index of one source's vectors, in the processor's memory."""
    return ExactIndex(vectors, IndexSettings(device="cpu"))
