"""One score out of several: on one scale, averaged, and mixed with the retriever's."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aisle.data.ids import Rows
from aisle.ranker.lists import Floats
from aisle.ranker.ndcg import mean_ndcg

WEIGHTS = (1.0, 0.9, 0.8, 0.65, 0.5, 0.35, 0.2, 0.1, 0.0)
"""Grid of the ranker's weight; at 0 the retriever's order stays."""

RETRIEVAL = "retrieval"


@dataclass(frozen=True)
class Scale:
    """Turns scores into deviations from their mean."""

    mean: float
    deviation: float

    @classmethod
    def fit(cls, scores: Floats) -> "Scale":
        """Mean and deviation of the known scores; a constant score is brought to 0."""
        known = scores[np.isfinite(scores)].astype(np.float64)
        if not len(known):
            return cls(0.0, 1.0)
        return cls(float(known.mean()), float(known.std()) or 1.0)

    def of(self, scores: Floats) -> Floats:
        """Scores on the common scale; an unknown one stands at the mean."""
        found: Floats = np.nan_to_num((scores - self.mean) / self.deviation, nan=0.0).astype(np.float32)
        return found


@dataclass(frozen=True)
class Blend:
    """`weight` x the mean of the scorers + (1 - `weight`) x the retriever, each on one scale.

    Attributes:
        weight: of the scorers together.
        scales: of each scorer, and of the retriever as `RETRIEVAL`.
    """

    weight: float
    scales: Mapping[str, Scale]

    def ranker(self, scores: Mapping[str, Floats]) -> Floats:
        """The scorers alone."""
        found: Floats = np.mean([self.scales[name].of(values) for name, values in scores.items()], axis=0)
        return found

    def scores(self, scores: Mapping[str, Floats], retrieval: Floats) -> Floats:
        """The blended score of each pair."""
        found: Floats = self.weight * self.ranker(scores) + (1 - self.weight) * self.scales[RETRIEVAL].of(
            retrieval
        )
        return found.astype(np.float32)


def choose(
    scores: Mapping[str, Floats],
    retrieval: Floats,
    labels: NDArray[np.bool_],
    sizes: Rows,
    relevant: Rows,
) -> tuple[Blend, dict[str, float]]:
    """The weight with the best ndcg@10 on validation, and the ndcg@10 of each weight and of each scorer.

    With weight 0 among the choices, the blend is never below the retriever there.

    Args:
        scores: of pairs by scorers that did not learn on them, by name.
        retrieval: the retriever's.
        labels: whether each pair is relevant.
        sizes: pairs of each list.
        relevant: items relevant to each list's user, also those that were not retrieved.
    """
    scales = {name: Scale.fit(values) for name, values in {**scores, RETRIEVAL: retrieval}.items()}
    blends = {weight: Blend(weight, scales) for weight in WEIGHTS}
    values = {
        weight: mean_ndcg(blend.scores(scores, retrieval), labels, sizes, relevant)
        for weight, blend in blends.items()
    }
    best = max(WEIGHTS, key=lambda weight: values[weight])
    told = {name: mean_ndcg(one, labels, sizes, relevant) for name, one in scores.items()}
    told |= {f"blend {weight:g}": value for weight, value in values.items()}
    return blends[best], told | {RETRIEVAL: values[0.0], "chosen": values[best]}
