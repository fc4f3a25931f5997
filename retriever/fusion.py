"""Several sources, one score: weights chosen on validation.

A tower's score of an item is a logit of p(item | user), its similarity / temperature; that of texts stands
beside it. Co-occurrence gives a share p of a user's co-occurrence to each item. The fused score is

    sum of weight * similarity / temperature + co_occurrence * log(1 + p / floor) + prior,

a product of experts (Hinton 2002, "Training products of experts by minimizing contrastive divergence") in
which the sources' probabilities are raised to validated powers. An item without co-occurrence loses nothing
but what others gain, so a user's best items are always among the best ones of the vectors and those with
co-occurrence: the exact best k need no more than these (:mod:`aisle.retriever.candidates`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from aisle.data.grid import search
from aisle.retriever.pools import Judged
from aisle.retriever.prior import HALF_LIVES, NEW, POPULARITY, Prior, PriorTable

VECTORS = (0.5, 0.25, 0.0, 0.75, 1.0, 1.5, 2.0)
CO_OCCURRENCE = (1.0, 0.5, 0.25, 0.0, 1.5, 2.0, 3.0, 4.0, 6.0)
FLOOR = (1e-3, 1e-4, 1e-2)
PASSES = 5

Scores = Float[NDArray[np.float32], " pairs"]


@dataclass(frozen=True)
class Fusion:
    """Weights of the sources.

    Attributes:
        vectors: one for each source with vectors; the search leaves that of the main towers at 1.
        co_occurrence: of log(1 + share / floor).
        floor: share of a user's co-occurrence that counts as little.
        prior: of the items, whoever the user is.
    """

    vectors: tuple[float, ...]
    co_occurrence: float = 0.0
    floor: float = 1e-3
    prior: Prior = field(default_factory=Prior)

    def fused(self, logits: Sequence[Scores], shares: Scores, prior: Scores) -> Scores:
        """Scores of pairs from what each source says of them.

        Args:
            logits: similarity / temperature, by source with vectors.
            shares: each item's share of its user's co-occurrence.
            prior: of each pair's item.
        """
        score: Scores = prior + np.float32(self.co_occurrence) * np.log1p(shares / np.float32(self.floor))
        for weight, logit in zip(self.vectors, logits, strict=True):
            score = score + np.float32(weight) * logit
        return score


def choose(
    judged: Judged, logits: Sequence[Scores], shares: Scores, items: NDArray[np.int64], priors: PriorTable
) -> tuple[Fusion, float]:
    """The weights with the best ndcg@10 on validation, and that ndcg@10; one weight after the other.

    Args:
        judged: the validation users' pool with their relevant items.
        logits: of each source with vectors for each pair of the pool.
        shares: of co-occurrence, for each pair of the pool.
        items: item row of each pair.
        priors: what the prior would add to each item.
    """
    axes: dict[str, Sequence[Any]] = {f"vectors {place}": VECTORS for place in range(1, len(logits))}
    if shares.any():
        axes |= {"co_occurrence": CO_OCCURRENCE, "floor": FLOOR}
    lives = (None, *HALF_LIVES) if priors.timed else (None,)
    recent = [(weight, days) for days in lives for weight in POPULARITY]
    axes |= {"popularity": ((0.0, None), *recent), "new": (0.0, *NEW)}

    def fusion(point: dict[str, Any]) -> Fusion:
        popularity, half_life = point["popularity"]
        return Fusion(
            vectors=(1.0, *(point[f"vectors {place}"] for place in range(1, len(logits)))),
            co_occurrence=point.get("co_occurrence", 0.0),
            floor=point.get("floor", FLOOR[0]),
            prior=Prior(popularity, half_life, point["new"]),
        )

    def value(point: dict[str, Any]) -> float:
        found = fusion(point)
        return judged.ndcg(found.fused(logits, shares, priors.of(found.prior)[items]))

    found = search(axes, value, passes=PASSES)
    return fusion(found.point), found.value if found.value is not None else value(found.point)
