"""Sampled metrics: each wanted item ranked among a few others only, and what that does to the numbers.

They were common because they are cheap. They are not estimates of the metrics over all items: a sampled rank
of 1 among 100 others is an exact rank of anything up to some hundreds in a large catalogue, so that they
measure far down the list, and can put two models in the other order.
Source: Krichene and Rendle 2020, "On Sampled Metrics for Item Recommendation".
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import hypergeom

from aisle.data.errors import InputError
from aisle.eval.judged import Judged
from aisle.eval.metrics.measure import Measure

SAMPLED = ("recall", "ndcg", "mrr")
"""Metrics that are computed; of one wanted item, recall is the hit rate."""


class Alone(NamedTuple):
    """A metric of wanted items each of which is ranked alone.

    Attributes:
        sample: among a sample of the others, the expectation.
        all: among all of them.
    """

    sample: float
    all: float


def sampled(judged: Judged, measures: Sequence[Measure], negatives: int) -> dict[str, "Alone"]:
    """Values of `measures` (those of `SAMPLED`) if each relevant item were ranked among `negatives` others.

    The others are drawn without replacement from the items that the user does not want. With A of those N
    above the relevant item, as many of the sample are above it as the hypergeometric distribution of (N, A,
    negatives) says; the value is the expectation over all samples, so that no seed decides. An item that the
    run does not return is below all others. A user's value is the mean over its relevant items, each alone
    with its sample (He et al. 2017, "Neural Collaborative Filtering"); the value, the mean over users.
    Cut-offs beyond the sample, which every item is within, are left out. Beside each value stands that among
    all others, by the same rule of one wanted item at a time.

    Raises:
        InputError: there are fewer items than the sample needs, or the catalogue is not known.
    """
    truth = judged.truth
    others = judged.catalogue_size - truth.relevant[truth.owners]
    if negatives > others.min(initial=negatives):
        raise InputError(
            f"at most {max(0, int(others.min()))} sampled items, as many as some user did not want",
            f"{negatives}",
            "lower evaluate.sampled_negatives",
        )
    above = others.copy()
    above[judged.hit_pairs] = judged.hit_ranks - judged.hit_ordinals
    above = np.minimum(above, others)  # a run may return more than the catalogue holds
    wanted = [measure for measure in measures if measure.metric in SAMPLED and measure.k <= negatives]
    deepest = max((k for _, k in wanted), default=1)
    pairs, which = np.unique(np.column_stack([others, above]), axis=0, return_inverse=True)
    chances = np.asarray(
        hypergeom.pmf(np.arange(deepest)[None, :], pairs[:, :1], pairs[:, 1:], negatives), np.float64
    )
    found = {}
    for metric, k in wanted:
        weights = _weights(metric, k)
        exact = np.append(weights, 0)[np.minimum(above, k)]
        means = []
        for values in ((chances[:, :k] @ weights)[which.ravel()], exact):
            sums = np.bincount(truth.owners, values, minlength=len(truth))
            means.append(float((sums / np.maximum(truth.relevant, 1)).mean()))
        found[str(Measure(metric, k))] = Alone(*means)
    return found


def _weights(metric: str, k: int) -> NDArray[np.float64]:
    """What a rank from 1 to k is worth, float64 (k)."""
    ranks = np.arange(1, k + 1)
    return {"recall": np.ones(k), "ndcg": 1 / np.log2(ranks + 1), "mrr": 1 / ranks}[metric]


def what_sampling_does(
    values: Mapping[str, Mapping[str, Alone]], negatives: int, catalogue: int
) -> list[str]:
    """Sentences for a reader of sampled values: how far they are from the exact ones, and whom they swap.

    Args:
        values: model, measure, value.
    """
    said = [
        f"Sampled metrics rank each wanted item among {negatives} of {catalogue} items, without the user's "
        "other wanted ones. They are no estimates of the metrics over all items: rank 1 in a sample stands "
        f"for ranks down to about {max(1, round(catalogue / negatives))}. Do not compare them with any other "
        "figures (Krichene and Rendle 2020)."
    ]
    measures = list(next(iter(values.values()), {}))
    if not measures:
        return said
    away = {
        (model, name): one.sample - one.all for model, found in values.items() for name, one in found.items()
    }
    model, name = max(away, key=lambda place: abs(away[place]))
    farthest = values[model][name]
    said.append(
        f"They are farthest away in {name} of {model}: {farthest.sample:.4f} among {negatives}, "
        f"{farthest.all:.4f} among all."
    )
    swapped = [
        (name, *((one, other) if values[one][name].all > values[other][name].all else (other, one)))
        for name in measures
        for one, other in combinations(values, 2)
        if (values[one][name].all - values[other][name].all)
        * (values[one][name].sample - values[other][name].sample)
        < 0
    ]
    if swapped:
        name, better, worse = swapped[0]
        pairs = len(measures) * len(values) * (len(values) - 1) // 2
        said.append(
            f"Sampling swaps {len(swapped)} of {pairs} pairs of models on a measure, such as {better}, which "
            f"is above {worse} in {name} among all items."
        )
    return said
