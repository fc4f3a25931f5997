"""Candidate sources of a shop: towers, texts, co-occurrence and words, asked together about some users."""

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
from aisle.retriever.fusion import Fusion
from aisle.retriever.neighbours import Neighbours
from aisle.retriever.pools import Pool
from aisle.retriever.similarity import TEMPERATURE, TextSimilarity
from aisle.retriever.towers import TwoTower
from aisle.retriever.users import Users

CO_OCCURRENCE = "co_occurrence"
"""Name of the source of what users had soon after."""

WORDS = "words"
"""Name of the source of items that share words."""

TEXT_SIMILARITY = "text_similarity"
"""Name of the source whose vectors are those of the language model."""

Vectors = Float[NDArray[np.float32], "n _"]
Scores = Float[NDArray[np.float32], " pairs"]


@dataclass(frozen=True)
class Asked:
    """What the sources know of some users.

    Attributes:
        vectors: of the users, for each source with vectors, float32 (users, dim).
        pointed: by source without vectors, unseen items that a user's point to.
        shares: by source without vectors, of each of these; those of a user sum to 1.
        seen: item rows that must not be recommended to each user.
    """

    vectors: Sequence[Vectors]
    pointed: Sequence[Pool]
    shares: Sequence[NDArray[np.float32]]
    seen: Sequence[Rows]

    def __len__(self) -> int:
        return len(self.seen)

    def shares_of(self, pool: Pool) -> list[Scores]:
        """Share of each pair of the pool, by source without vectors; 0 where there is none."""
        found = []
        for pointed, shares in zip(self.pointed, self.shares, strict=True):
            one = np.zeros(len(pool.items), np.float32)
            here, there = pool.within(pointed)
            one[here] = shares[there]
            found.append(one)
        return found


@dataclass(frozen=True)
class Sources:
    """Everything that scores items for a user.

    Attributes:
        towers: by name; the main one first.
        temperatures: of each tower.
        similarity: of texts; None where it is not a source.
        neighbours: sources without vectors, by name.
        users: how the towers read a shop's users.
        item_vectors: of the catalogue, by source with vectors, float32 (items, dim).
    """

    towers: Mapping[str, TwoTower]
    temperatures: Mapping[str, float]
    similarity: TextSimilarity | None
    neighbours: Mapping[str, Neighbours]
    users: Users
    item_vectors: Sequence[Vectors]

    @classmethod
    def of(
        cls,
        towers: Mapping[str, TwoTower],
        temperatures: Mapping[str, float],
        similarity: TextSimilarity | None,
        neighbours: Mapping[str, Neighbours],
        users: Users,
    ) -> "Sources":
        """The sources, with the catalogue's vectors computed."""
        vectors = item_vectors(towers, similarity)
        return cls(towers, temperatures, similarity, neighbours, users, vectors)

    @property
    def divisors(self) -> dict[str, float]:
        """Temperature of each source with vectors, by name; the main towers first."""
        return divisors(self.temperatures, self.similarity)

    @property
    def names(self) -> list[str]:
        """Names of all sources."""
        return [*self.divisors, *self.neighbours]

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
        histories = self.users.histories(*past)
        told = [source.shares(histories, user_rows, seen) for source in self.neighbours.values()]
        return Asked(vectors, [pool for pool, _ in told], [shares for _, shares in told], seen)

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
