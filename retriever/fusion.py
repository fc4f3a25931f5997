"""Several sources, one score: weights chosen on validation.

A tower's score of an item is a logit of p(item | user), its similarity / temperature; that of texts stands
beside it. A source without vectors (co-occurrence, shared words) gives each item a share p of all that it
says of the user. The fused score is

    sum of weight * similarity / temperature + sum of weight * log(1 + p / floor) + prior,

a product of experts (Hinton 2002, "Training products of experts by minimizing contrastive divergence") in
which the sources' probabilities are raised to validated powers. An item without a share loses nothing but
what others gain, so a user's best items are always among the best ones of the vectors and those with a
share: the exact best k need no more than these (:mod:`aisle.retriever.candidates`).
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
SHARES = (1.0, 0.5, 0.25, 0.0, 1.5, 2.0, 3.0, 4.0, 6.0)
FLOOR = (1e-3, 1e-4, 1e-2)
PASSES = 5

Scores = Float[NDArray[np.float32], " pairs"]


@dataclass(frozen=True)
class ShareWeight:
    """Weight of a source without vectors.

    Attributes:
        weight: of log(1 + share / floor).
        floor: share of what the source says of a user that counts as little.
    """

    weight: float = 0.0
    floor: float = 1e-3


@dataclass(frozen=True)
class Fusion:
    """Weights of the sources.

    Attributes:
        vectors: one for each source with vectors; the search leaves that of the main towers at 1.
        shares: one for each source without.
        prior: of the items, whoever the user is.
    """

    vectors: tuple[float, ...]
    shares: tuple[ShareWeight, ...] = ()
    prior: Prior = field(default_factory=Prior)

    def fused(self, logits: Sequence[Scores], shares: Sequence[Scores], prior: Scores) -> Scores:
        """Scores of pairs from what each source says of them.

        Args:
            logits: similarity / temperature, by source with vectors.
            shares: each item's share of what a source says of its user, by source without.
            prior: of each pair's item.
        """
        score: Scores = prior.astype(np.float32)
        for by, share in zip(self.shares, shares, strict=True):
            if by.weight:
                score = score + np.float32(by.weight) * np.log1p(share / np.float32(by.floor))
        for weight, logit in zip(self.vectors, logits, strict=True):
            score = score + np.float32(weight) * logit
        return score


def choose(
    judged: Judged,
    logits: Sequence[Scores],
    shares: Sequence[Scores],
    items: NDArray[np.int64],
    priors: PriorTable,
) -> tuple[Fusion, float]:
    """The weights with the best ndcg@10 on validation, and that ndcg@10; one weight after the other.

    Args:
        judged: the validation users' pool with their relevant items.
        logits: of each source with vectors for each pair of the pool.
        shares: of each source without, for each pair of the pool.
        items: item row of each pair.
        priors: what the prior would add to each item.
    """
    axes: dict[str, Sequence[Any]] = {f"vectors {place}": VECTORS for place in range(1, len(logits))}
    for place, share in enumerate(shares):
        if share.any():
            axes |= {f"shares {place}": SHARES, f"floor {place}": FLOOR}
    lives = (None, *HALF_LIVES) if priors.timed else (None,)
    recent = [(weight, days) for days in lives for weight in POPULARITY]
    axes |= {"popularity": ((0.0, None), *recent), "new": (0.0, *NEW)}

    def fusion(point: dict[str, Any]) -> Fusion:
        popularity, half_life = point["popularity"]
        return Fusion(
            vectors=(1.0, *(point[f"vectors {place}"] for place in range(1, len(logits)))),
            shares=tuple(
                ShareWeight(point.get(f"shares {place}", 0.0), point.get(f"floor {place}", FLOOR[0]))
                for place in range(len(shares))
            ),
            prior=Prior(popularity, half_life, point["new"]),
        )

    def value(point: dict[str, Any]) -> float:
        found = fusion(point)
        return judged.ndcg(found.fused(logits, shares, priors.of(found.prior)[items]))

    found = search(axes, value, passes=PASSES)
    return fusion(found.point), found.value if found.value is not None else value(found.point)
