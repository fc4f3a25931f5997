"""What models are worth on parts of the truth: values, intervals, and a test of two of them on each."""

from collections.abc import Mapping

import numpy as np

from aisle.eval.comparing import Trial, decide
from aisle.eval.report.schema import Estimate, Slice
from aisle.eval.settings import EvaluateSettings
from aisle.eval.truth import Part
from aisle.eval.uncertainty import Floats, bootstrap_means, bootstrap_p, flipped_sums, interval, permutation_p


def measure_parts(
    parts: Mapping[str, Part],
    scores: Mapping[str, Mapping[str, Floats]],
    weights: Mapping[str, Floats],
    contest: tuple[str, str] | None,
    settings: EvaluateSettings,
    seed: int,
) -> dict[str, Slice]:
    """What a report says of each part, by its name.

    Args:
        parts: by name.
        scores: of each model on each part, float64 (n_users of the part, n_tested, n_seeds).
        weights: of the seeds of each model in each resample (:func:`aisle.eval.seeds.seed_weights`).
        contest: two models of which the report says who is better, part by part; tested on the primary
            measure, or on the first tested one, with Holm's correction over all parts.
        seed: of the resampling.
    """
    found, trials = {}, []
    for name, part in parts.items():
        here = {model: of_parts[name] for model, of_parts in scores.items()}
        means = _means(here, weights, settings, seed)
        found[name] = Slice(
            users=len(part.users),
            pairs=len(part.pairs),
            models={model: _estimates(here[model], means[model], settings) for model in here},
        )
        if contest is not None:
            trials.append(_trial(here, means, contest, settings, seed))
    tests = decide(trials, settings.confidence)
    return {
        name: part.model_copy(update={"comparison": tests[at] if tests else None})
        for at, (name, part) in enumerate(found.items())
    }


def _means(
    scores: Mapping[str, Floats], weights: Mapping[str, Floats], settings: EvaluateSettings, seed: int
) -> dict[str, Floats]:
    """Bootstrap means of each model, float64 (resamples, n_tested); all see the same users."""
    flat = [values.reshape(len(values), -1) for values in scores.values()]
    drawn = bootstrap_means(np.hstack(flat), resamples=settings.resamples, seed=seed)
    ends = np.cumsum([values.shape[1] for values in flat])[:-1]
    return {
        model: np.einsum("rts,rs->rt", means.reshape(len(means), *values.shape[1:]), weights[model])
        for (model, values), means in zip(scores.items(), np.split(drawn, ends, axis=1), strict=True)
    }


def _estimates(scores: Floats, means: Floats, settings: EvaluateSettings) -> dict[str, Estimate]:
    low, high = interval(means, settings.confidence)
    values = scores.mean(axis=(0, 2))
    return {
        name: Estimate(value=float(values[at]), low=float(low[at]), high=float(high[at]))
        for at, name in enumerate(settings.tested)
    }


def _trial(
    scores: Mapping[str, Floats],
    means: Mapping[str, Floats],
    contest: tuple[str, str],
    settings: EvaluateSettings,
    seed: int,
) -> Trial:
    """The two models of the verdict on one part."""
    measure = settings.primary if settings.primary in settings.tested else settings.tested[0]
    at = settings.tested.index(measure)
    one, other = (scores[model][:, at] for model in contest)
    difference = one.mean(axis=1) - other.mean(axis=1)
    flipped = flipped_sums(difference[:, None], permutations=settings.permutations, seed=seed)[:, 0]
    drawn = means[contest[0]][:, at] - means[contest[1]][:, at]
    value = float(difference.mean())
    p_bootstrap = bootstrap_p(value, drawn, [one.mean(axis=0), other.mean(axis=0)])
    p = permutation_p(float(difference.sum()), flipped)
    return Trial(measure, *contest, value, drawn, p, p_bootstrap)
