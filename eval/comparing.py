"""Every pair of models, tested: who is better, and where chance may have decided."""

from collections.abc import Collection, Iterator, Mapping
from itertools import combinations

import numpy as np

from aisle.eval.measuring import Measured
from aisle.eval.report.schema import Comparison, Outcome
from aisle.eval.settings import EvaluateSettings
from aisle.eval.uncertainty import flipped_sums, holm, interval, permutation_p


def compare(
    measured: Mapping[str, Measured], settings: EvaluateSettings, seed: int, ours: Collection[str]
) -> Iterator[Comparison]:
    """Every pair of models on every tested measure; ours first, then by falling primary measure."""
    if len(measured) < 2 or not settings.tested:
        return
    order = sorted(
        measured, key=lambda name: (name not in ours, -measured[name].estimates[settings.primary].value)
    )
    width = len(settings.tested)
    stacked = np.hstack([measured[name].scores for name in order])
    totals = stacked.sum(axis=0)
    flipped = flipped_sums(stacked, permutations=settings.permutations, seed=seed)
    trials = [
        (one, other, at)
        for at in range(width)
        for one, other in combinations(range(len(order)), 2)
    ]  # fmt: skip
    p_values = []
    for one, other, at in trials:
        a, b = one * width + at, other * width + at
        p_values.append(permutation_p(float(totals[a] - totals[b]), flipped[:, a] - flipped[:, b]))
    for (one, other, at), p, p_holm in zip(trials, p_values, holm(np.array(p_values)), strict=True):
        first, second = measured[order[one]], measured[order[other]]
        low, high = interval(first.means[:, at] - second.means[:, at], settings.confidence)
        difference = float(first.scores[:, at].mean() - second.scores[:, at].mean())
        yield Comparison(
            measure=settings.tested[at],
            model=order[one],
            other=order[other],
            difference=difference,
            low=float(low),
            high=float(high),
            p=p,
            p_holm=float(p_holm),
            outcome=outcome(difference, float(p_holm), settings.confidence),
        )


def outcome(difference: float, p: float, confidence: float) -> Outcome:
    """What a test allows to say of a difference: nothing, unless its p-value is small enough."""
    if p >= 1 - confidence:
        return "undecided"
    return "better" if difference > 0 else "worse"
