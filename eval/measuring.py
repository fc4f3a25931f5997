"""One run, measured: estimates, what the tests need of it, and its parts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from aisle.eval.catalogue import Catalogue
from aisle.eval.concentration import Popular
from aisle.eval.judged import Judged
from aisle.eval.judging import judge
from aisle.eval.leaks import Finding, Material, check_lists
from aisle.eval.metrics.measure import CATALOGUE_METRICS, USER_METRICS, Measure, is_known, parse
from aisle.eval.profiles import Profiles
from aisle.eval.report.schema import Estimate, RunCounts
from aisle.eval.runs import check_run
from aisle.eval.sampled import Alone, sampled
from aisle.eval.settings import EvaluateSettings
from aisle.eval.truth import Part, Truth
from aisle.eval.uncertainty import Floats, bootstrap_means, interval


@dataclass(frozen=True, eq=False)
class Ground:
    """What all runs of a report are measured on. What is None is not known, and what needs it is left out.

    Attributes:
        seed: of the resampling.
        catalogue: what is known of the items.
        profiles: what the users cared for before.
        popular: the order of the catalogue by popularity.
        parts: of the truth, by name, to be reported apart.
        material: data that the lists are checked for leaks with.
    """

    truth: Truth
    settings: EvaluateSettings
    seed: int
    catalogue: Catalogue | None = None
    profiles: Profiles | None = None
    popular: Popular | None = None
    parts: Mapping[str, Part] = field(default_factory=dict)
    material: Material | None = None


@dataclass(frozen=True)
class Measured:
    """One model's values, and what the tests still need of it.

    Attributes:
        estimates: by measure, in the order of the settings.
        scores: of the tested measures, float64 (n_users, n_tested); means over the seeds.
        by_seed: values of the same under each seed, float64 (n_seeds, n_tested); of one run, one seed.
        means: bootstrap means of each measure that users have, float64 (resamples).
        parts: scores of the tested measures on each part of the truth that is reported apart, by its name,
            float64 (n_users of the part, n_tested, n_seeds).
        findings: what leak checks say of the lists.
        sampled: values among samples, by measure, where they were asked for.
        popular: share of the places that the most popular items take; empty where popularity is unknown.
    """

    estimates: dict[str, Estimate]
    counts: RunCounts
    scores: Floats
    by_seed: Floats
    means: Mapping[str, Floats]
    parts: Mapping[str, Floats]
    findings: Sequence[Finding] = ()
    sampled: Mapping[str, Alone] = field(default_factory=dict)
    popular: Sequence[float] = ()


def measure(run: pl.DataFrame, name: str, ground: Ground) -> Measured:
    """Everything that a report says of the run (:mod:`aisle.eval.runs`) of the model `name`.

    Raises:
        InputError: the run cannot be used.
    """
    truth, settings, seed, catalogue = ground.truth, ground.settings, ground.seed, ground.catalogue
    profiles, popular = ground.profiles, ground.popular
    run = check_run(run, truth, name)
    judged = judge(
        run, truth, depth=settings.k[-1], catalogue=catalogue, profiles=profiles, cut_offs=settings.k
    )
    measures = [one for one in settings.user_measures if is_known(one.metric, catalogue, profiles)]
    scores = np.column_stack([USER_METRICS[metric](judged, k) for metric, k in measures])
    means = bootstrap_means(scores, resamples=settings.resamples, seed=seed)
    found = _estimates(measures, scores, means, settings.confidence)
    for whole in settings.catalogue_measures:
        if is_known(whole.metric, catalogue):
            value = CATALOGUE_METRICS[whole.metric](judged, whole.k)
            found[str(whole)] = Estimate(value=value, low=None, high=None)
    order = [f"{metric}@{k}" for metric in settings.metrics for k in settings.k]
    names = [str(measure) for measure in measures]
    tested = [names.index(name) for name in settings.tested]
    return Measured(
        estimates={name: found[name] for name in order if name in found},
        counts=_counts(run, judged),
        scores=scores[:, tested],
        by_seed=scores[:, tested].mean(axis=0, keepdims=True),
        means=dict(zip(names, means.T, strict=True)),
        parts={name: _part_scores(judged.part(part), settings) for name, part in ground.parts.items()},
        findings=[] if ground.material is None else [*check_lists(name, judged, ground.material)],
        sampled=sampled(judged, settings.user_measures, settings.sampled_negatives)
        if settings.sampled_negatives and catalogue is not None
        else {},
        popular=popular.shown(judged, parse(settings.primary).k) if popular else [],
    )


def _counts(run: pl.DataFrame, judged: Judged) -> RunCounts:
    answered = int(np.count_nonzero(judged.lists.sizes))
    return RunCounts(
        rows=len(run),
        users_without_results=len(judged.truth) - answered,
        users_ignored=judged.strangers,
        longest=int(judged.lists.sizes.max(initial=0)),
        items_outside=None if judged.rows is None else int(np.count_nonzero(judged.rows < 0)),
    )


def _part_scores(judged: Judged, settings: EvaluateSettings) -> Floats:
    """The tested measures of a run by a part of the truth, float64 (n_users of the part, n_tested, 1)."""
    measures = [parse(name) for name in settings.tested]
    return np.column_stack([USER_METRICS[metric](judged, k) for metric, k in measures])[:, :, None]


def _estimates(
    measures: Sequence[Measure], scores: Floats, means: Floats, confidence: float
) -> dict[str, Estimate]:
    low, high = interval(means, confidence)
    return {
        str(measure): Estimate(value=float(value), low=float(least), high=float(most))
        for measure, value, least, most in zip(measures, scores.mean(axis=0), low, high, strict=True)
    }
