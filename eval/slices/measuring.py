"""What models are worth on parts of the truth: values, intervals, and a test of two of them on each."""

from collections.abc import Mapping, Sequence

import numpy as np

from aisle.eval.comparing import outcome
from aisle.eval.report.schema import Comparison, Estimate, Slice
from aisle.eval.settings import EvaluateSettings
from aisle.eval.truth import Part
from aisle.eval.uncertainty import Floats, bootstrap_means, flipped_sums, holm, interval, permutation_p


def measure_parts(
    parts: Mapping[str, Part],
    scores: Mapping[str, Mapping[str, Floats]],
    contest: tuple[str, str] | None,
    settings: EvaluateSettings,
    seed: int,
) -> dict[str, Slice]:
    """What a report says of each part, by its name.

    Args:
        parts: by name.
        scores: of each model on each part, float64 (n_users of the part, n_tested).
        contest: two models of which the report says who is better, part by part; tested on the primary
            measure, or on the first tested one, with Holm's correction over all parts.
        seed: of the resampling.
    """
    found = {}
    for name, part in parts.items():
        stacked = np.hstack([scores[model][name] for model in scores])
        means = bootstrap_means(stacked, resamples=settings.resamples, seed=seed)
        low, high = interval(means, settings.confidence)
        numbers = zip(stacked.mean(axis=0).tolist(), low.tolist(), high.tolist(), strict=True)
        estimates = iter([Estimate(value=value, low=least, high=most) for value, least, most in numbers])
        models = {model: {measure: next(estimates) for measure in settings.tested} for model in scores}
        found[name] = Slice(users=len(part.users), pairs=len(part.pairs), models=models)
    if contest is None or not parts:
        return found
    ones, others = ([*scores[model].values()] for model in contest)
    tests = _contests(ones, others, contest, settings, seed)
    return {
        name: part.model_copy(update={"comparison": test})
        for (name, part), test in zip(found.items(), tests, strict=True)
    }


def _contests(
    ones: Sequence[Floats],
    others: Sequence[Floats],
    contest: tuple[str, str],
    settings: EvaluateSettings,
    seed: int,
) -> list[Comparison]:
    """The two models of the verdict on every part, with Holm's correction over the parts."""
    measure = settings.primary if settings.primary in settings.tested else settings.tested[0]
    column = settings.tested.index(measure)
    differences = [one[:, [column]] - other[:, [column]] for one, other in zip(ones, others, strict=True)]
    p_values = []
    for difference in differences:
        flipped = flipped_sums(difference, permutations=settings.permutations, seed=seed)[:, 0]
        p_values.append(permutation_p(float(difference.sum()), flipped))
    tests = []
    for difference, p, p_holm in zip(differences, p_values, holm(np.array(p_values)), strict=True):
        means = bootstrap_means(difference, resamples=settings.resamples, seed=seed)
        low, high = interval(means[:, 0], settings.confidence)
        value = float(difference.mean())
        tests.append(
            Comparison(
                measure=measure,
                model=contest[0],
                other=contest[1],
                difference=value,
                low=float(low),
                high=float(high),
                p=p,
                p_holm=float(p_holm),
                outcome=outcome(value, float(p_holm), settings.confidence),
            )
        )
    return tests
