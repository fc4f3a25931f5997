"""Every pair of models, tested: who is better, and where chance may have decided."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from aisle.eval.measuring import Measured
from aisle.eval.report.schema import Comparison, Outcome
from aisle.eval.settings import EvaluateSettings
from aisle.eval.uncertainty import Floats, bootstrap_p, flipped_sums, holm, interval, permutation_p


class Trial(NamedTuple):
    """Two models on one measure, before the correction for being many.

    Attributes:
        means: bootstrap means of the difference, float64 (resamples).
        p: of the permutation test.
        p_bootstrap: of the bootstrap test.
    """

    measure: str
    model: str
    other: str
    difference: float
    means: Floats
    p: float
    p_bootstrap: float


def compare(
    measured: Mapping[str, Measured], settings: EvaluateSettings, seed: int, ours: Collection[str]
) -> list[Comparison]:
    """Every pair of models on every tested measure; ours first, then by falling primary measure."""
    if len(measured) < 2 or not settings.tested:
        return []
    order = sorted(
        measured, key=lambda name: (name not in ours, -measured[name].estimates[settings.primary].value)
    )
    stacked = np.hstack([measured[name].scores for name in order])
    flipped = flipped_sums(stacked, permutations=settings.permutations, seed=seed)
    return decide([*_trials(measured, order, settings, stacked.sum(axis=0), flipped)], settings.confidence)


def _trials(
    measured: Mapping[str, Measured],
    order: Sequence[str],
    settings: EvaluateSettings,
    totals: Floats,
    flipped: Floats,
) -> Iterator[Trial]:
    width = len(settings.tested)
    for at, name in enumerate(settings.tested):
        for one, other in combinations(range(len(order)), 2):
            a, b = one * width + at, other * width + at
            first, second = measured[order[one]], measured[order[other]]
            means = first.means[name] - second.means[name]
            seeds = [first.by_seed[:, at], second.by_seed[:, at]]
            difference = float(first.scores[:, at].mean() - second.scores[:, at].mean())
            p = permutation_p(float(totals[a] - totals[b]), flipped[:, a] - flipped[:, b])
            yield Trial(
                name, order[one], order[other], difference, means, p, bootstrap_p(difference, means, seeds)
            )


def decide(trials: Sequence[Trial], confidence: float) -> list[Comparison]:
    """What the trials allow to say, each of the two tests corrected over all of them.

    "Better" and "worse" need both: the permutation test asks about other users, and the bootstrap about
    other seeds as well, where there are several.
    """
    p_holm, p_bootstrap_holm = (
        holm(np.array([getattr(trial, name) for trial in trials])).tolist() for name in ("p", "p_bootstrap")
    )
    found = []
    for trial, p, p_bootstrap in zip(trials, p_holm, p_bootstrap_holm, strict=True):
        low, high = interval(trial.means, confidence)
        found.append(
            Comparison(
                measure=trial.measure,
                model=trial.model,
                other=trial.other,
                difference=trial.difference,
                low=float(low),
                high=float(high),
                p=trial.p,
                p_holm=p,
                p_bootstrap=trial.p_bootstrap,
                p_bootstrap_holm=p_bootstrap,
                outcome=_outcome(trial.difference, max(p, p_bootstrap), confidence),
            )
        )
    return found


def _outcome(difference: float, p: float, confidence: float) -> Outcome:
    if p >= 1 - confidence:
        return "undecided"
    return "better" if difference > 0 else "worse"
