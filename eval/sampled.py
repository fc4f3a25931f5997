"""Sampled metrics: each wanted item ranked among a few others only, and what that does to the numbers.

They were common because they are cheap. They are not estimates of the metrics over all items: a sampled rank
of 1 among 100 others is an exact rank of anything up to some hundreds in a large catalogue, so that they
measure far down the list, and can put two models in the other order.
Source: Krichene and Rendle 2020, "On Sampled Metrics for Item Recommendation".
"""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import hypergeom

from aisle.data.errors import InputError
from aisle.eval.judged import Judged
from aisle.eval.metrics.measure import Measure

SAMPLED = ("recall", "ndcg", "mrr")
"""Metrics that are computed; of one wanted item, recall is the hit rate."""


def sampled(judged: Judged, measures: Sequence[Measure], negatives: int) -> dict[str, float]:
    """Values of `measures` (those of `SAMPLED`) if each relevant item were ranked among `negatives` others.

    The others are drawn without replacement from the items that the user does not want. With A of those N
    above the relevant item, as many of the sample are above it as the hypergeometric distribution of (N, A,
    negatives) says; the value is the expectation over all samples, so that no seed decides. An item that the
    run does not return is below all others. A user's value is the mean over its relevant items, each alone
    with its sample (He et al. 2017, "Neural Collaborative Filtering"); the value, the mean over users.
    Cut-offs beyond the sample, which every item is within, are left out.

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
        values = (chances[:, :k] @ _weights(metric, k))[which.ravel()]
        sums = np.bincount(truth.owners, values, minlength=len(truth))
        found[str(Measure(metric, k))] = float((sums / np.maximum(truth.relevant, 1)).mean())
    return found


def _weights(metric: str, k: int) -> NDArray[np.float64]:
    """What a rank from 1 to k is worth, float64 (k)."""
    ranks = np.arange(1, k + 1)
    return {"recall": np.ones(k), "ndcg": 1 / np.log2(ranks + 1), "mrr": 1 / ranks}[metric]


def what_sampling_does(
    exact: Mapping[str, Mapping[str, float]],
    approximate: Mapping[str, Mapping[str, float]],
    negatives: int,
    catalogue: int,
) -> list[str]:
    """Sentences for a reader of sampled values: how far they are from the exact ones, and whom they swap.

    Args:
        exact: model, measure, value over all items.
        approximate: the same, sampled.
    """
    said = [
        f"Sampled metrics rank each wanted item among {negatives} of {catalogue} items. They are no "
        f"estimates of the metrics over all items: rank 1 in a sample stands for ranks down to about "
        f"{max(1, round(catalogue / negatives))}. Of several wanted items each is ranked alone, without "
        "the others. Do not compare them with any other figures (Krichene and Rendle 2020)."
    ]
    for measure in next(iter(approximate.values()), {}):
        pairs = {model: (exact[model][measure], approximate[model][measure]) for model in approximate}
        largest = max(pairs, key=lambda model: pairs[model][1])
        over_all, in_sample = pairs[largest]
        line = f"Sampled {measure} of {largest} is {in_sample:.4f}, over all items {over_all:.4f}"
        swapped = [
            (one, other) if pairs[one][0] > pairs[other][0] else (other, one)
            for one, other in combinations(pairs, 2)
            if (pairs[one][0] - pairs[other][0]) * (pairs[one][1] - pairs[other][1]) < 0
        ]
        if swapped:
            better, worse = swapped[0]
            line += (
                f"; sampling swaps {len(swapped)} of {len(pairs) * (len(pairs) - 1) // 2} pairs of models, "
                f"such as {better}, which is above {worse} over all items"
            )
        said.append(line + ".")
    return said
