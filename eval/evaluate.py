"""Runs and truth to a report."""

import platform
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl
from pydantic import JsonValue

from aisle.data.errors import InputError
from aisle.data.ids import Ids
from aisle.data.progress import track
from aisle.eval.files import read_run, read_truth
from aisle.eval.judged import Judged, Truth, judge
from aisle.eval.metrics.measure import CATALOGUE_METRICS, USER_METRICS, Measure, parse
from aisle.eval.protocol import describe
from aisle.eval.report.schema import Comparison, Estimate, Method, Outcome, Report, RunCounts, Slice
from aisle.eval.runs import check_run, check_truth
from aisle.eval.settings import EvaluateSettings
from aisle.eval.slices import Known, slices
from aisle.eval.uncertainty import Floats, bootstrap_means, flipped_sums, holm, interval, permutation_p


@dataclass(frozen=True)
class Measured:
    """One model's values, and what the tests still need of it.

    Attributes:
        estimates: by measure, in the order of the settings.
        scores: of the tested measures, float64 (n_users, n_tested).
        means: bootstrap means of the same, float64 (resamples, n_tested).
        slices: the tested measures in each part of the truth that is reported apart.
    """

    estimates: dict[str, Estimate]
    counts: RunCounts
    scores: Floats
    means: Floats
    slices: dict[str, dict[str, Estimate]]


def evaluate(
    truth: pl.DataFrame,
    runs: Mapping[str, pl.DataFrame],
    *,
    protocol: Mapping[str, JsonValue] | None = None,
    catalogue: Ids | int | None = None,
    popularity: pl.DataFrame | None = None,
    known: Known | None = None,
    settings: EvaluateSettings | None = None,
    seed: int = 0,
    ours: Collection[str] = (),
) -> Report:
    """Measure every run against the truth and compare every pair of them.

    Args:
        truth: user_id, item_id and optionally relevance (:mod:`aisle.eval.runs`).
        runs: by model name; user_id, item_id, score and optionally rank. Each is asked for once and
            forgotten before the next, so a mapping that reads them when asked needs memory for one.
        protocol: what was decided before the runs were made (:mod:`aisle.eval.protocol`).
        catalogue: ids of all items, or only their number; without it coverage and gini are left out.
        popularity: item_id and events (how often the item occurs in the past); without it novelty is left
            out.
        known: users and items of the past; with it, new ones are reported apart (:mod:`aisle.eval.slices`).
        seed: of the resampling; the same inputs and seed give the same report.
        ours: the model that the verdict holds against the best baseline, then others that are no baselines.

    Raises:
        InputError: there is no run, a run or the truth cannot be used, or `ours` names an unknown model.
    """
    settings = settings or EvaluateSettings()
    if not runs:
        raise InputError("at least one run", "none", "pass the run of a model")
    unknown = [name for name in ours if name not in runs]
    if unknown:
        raise InputError(
            f"models among {', '.join(runs)}", f"`ours` names {unknown[0]!r}", "correct the name"
        )
    wanted = check_truth(truth)
    size = len(catalogue) if isinstance(catalogue, Ids) else catalogue
    parts = slices(wanted, known) if known is not None and settings.tested else {}

    def measure(name: str) -> Measured:
        run = check_run(runs[name], wanted, name)
        judged = judge(run, wanted, depth=settings.k[-1], catalogue=catalogue, popularity=popularity)
        return _measure(judged, run, parts, settings, seed)

    measured = {name: measure(name) for name in track(runs, "evaluating", len(runs))}
    comparisons = list(_compare(measured, settings, seed, ours))
    return Report(
        protocol=describe(protocol or {}, wanted, settings.k, size),
        models={name: model.estimates for name, model in measured.items()},
        primary=settings.primary,
        ours=list(ours),
        comparisons=comparisons,
        slices={
            name: Slice(
                users=len(part),
                pairs=len(part.frame),
                models={model: found.slices[name] for model, found in measured.items()},
            )
            for name, part in parts.items()
        },
        runs={name: model.counts for name, model in measured.items()},
        method=Method(
            confidence=settings.confidence,
            resamples=settings.resamples,
            permutations=settings.permutations,
            seed=seed,
        ),
        warnings=list(_warnings(wanted, measured, settings, size, popularity is not None, len(comparisons))),
        versions={
            "python": platform.python_version(),
            **{package: version(package) for package in ("aisle", "numpy", "polars")},
        },
    )


def evaluate_files(
    runs: Mapping[str, Path],
    truth: Path,
    *,
    catalogue: Path | int | None = None,
    protocol: Mapping[str, JsonValue] | None = None,
    settings: EvaluateSettings | None = None,
    seed: int = 0,
    ours: Collection[str] = (),
) -> Report:
    """:func:`evaluate` on files: anybody's runs against anybody's truth.

    Args:
        runs: Parquet or TREC text (:mod:`aisle.eval.files`), by the name of the model.
        truth: Parquet or TREC qrels.
        catalogue: Parquet with a column item_id, or the number of items.

    Raises:
        InputError: a file cannot be used.
    """
    items = _read_catalogue(catalogue) if isinstance(catalogue, Path) else catalogue
    return evaluate(
        read_truth(truth),
        {name: read_run(path) for name, path in runs.items()},
        protocol=protocol,
        catalogue=items,
        settings=settings,
        seed=seed,
        ours=ours,
    )


def _read_catalogue(path: Path) -> Ids:
    items = read_truth(path)
    if "item_id" not in items.columns:
        raise InputError(
            "a catalogue with a column 'item_id'",
            f"columns {', '.join(items.columns)} in {path}",
            "name the column item_id",
        )
    return Ids(items["item_id"].cast(pl.String).unique(maintain_order=True))


def _measure(
    judged: Judged, run: pl.DataFrame, parts: Mapping[str, Truth], settings: EvaluateSettings, seed: int
) -> Measured:
    def known(measure: Measure) -> bool:
        return measure.metric != "novelty" or judged.chances is not None

    measures = [measure for measure in settings.user_measures if known(measure)]
    scores = np.column_stack([USER_METRICS[metric](judged, k) for metric, k in measures])
    means = bootstrap_means(scores, resamples=settings.resamples, seed=seed)
    found = _estimates(measures, scores, means, settings.confidence)
    if judged.size is not None:
        for measure in settings.catalogue_measures:
            value = CATALOGUE_METRICS[measure.metric](judged, measure.k)
            found[str(measure)] = Estimate(value=value, low=None, high=None)
    order = [f"{metric}@{k}" for metric in settings.metrics for k in settings.k]
    names = [str(measure) for measure in measures]
    tested = [names.index(name) for name in settings.tested]
    users_of_run = run["user_id"].n_unique()
    answered = len(np.unique(judged.list_users))
    counts = RunCounts(
        rows=len(run),
        users_without_results=len(judged.truth) - answered,
        users_ignored=users_of_run - answered,
        longest=int(judged.list_ranks.max(initial=0)),
        items_outside=None if judged.in_catalogue is None else int(np.count_nonzero(~judged.in_catalogue)),
    )
    estimates = {name: found[name] for name in order if name in found}
    apart = {name: _measure_part(run, part, settings, seed) for name, part in parts.items()}
    return Measured(estimates, counts, scores[:, tested], means[:, tested], apart)


def _measure_part(
    run: pl.DataFrame, truth: Truth, settings: EvaluateSettings, seed: int
) -> dict[str, Estimate]:
    """The tested measures of a run by a part of the truth."""
    judged = judge(run, truth, depth=settings.k[-1])
    measures = [parse(name) for name in settings.tested]
    scores = np.column_stack([USER_METRICS[metric](judged, k) for metric, k in measures])
    means = bootstrap_means(scores, resamples=settings.resamples, seed=seed)
    return _estimates(measures, scores, means, settings.confidence)


def _estimates(
    measures: Sequence[Measure], scores: Floats, means: Floats, confidence: float
) -> dict[str, Estimate]:
    low, high = interval(means, confidence)
    return {
        str(measure): Estimate(value=float(value), low=float(least), high=float(most))
        for measure, value, least, most in zip(measures, scores.mean(axis=0), low, high, strict=True)
    }


def _compare(
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
            outcome=_outcome(difference, float(p_holm), settings.confidence),
        )


def _outcome(difference: float, p: float, confidence: float) -> Outcome:
    if p >= 1 - confidence:
        return "undecided"
    return "better" if difference > 0 else "worse"


def _warnings(
    truth: Truth,
    measured: Mapping[str, Measured],
    settings: EvaluateSettings,
    catalogue_size: int | None,
    with_popularity: bool,
    tests: int,
) -> Iterator[str]:
    without = int(np.count_nonzero(truth.relevant == 0))
    if without:
        yield f"{without} users have no relevant item in the truth and score 0 for every model."
    if truth.repeats:
        yield f"{truth.repeats} rows of the truth repeat an earlier one and were merged."
    for name, model in measured.items():
        counts = model.counts
        if counts.users_without_results:
            yield f"{name} leaves out {counts.users_without_results} of {len(truth)} users; they score 0."
        if counts.users_ignored:
            yield f"{name} has results for {counts.users_ignored} users outside the truth; they are ignored."
        if counts.longest < settings.k[-1]:
            deep = ", ".join(str(k) for k in settings.k if k > counts.longest)
            yield (
                f"{name} returns at most {counts.longest} items a user; at k = {deep} the places below "
                "count as misses."
            )
        if counts.items_outside:
            yield f"{name} returns {counts.items_outside} distinct items that are not in the catalogue."
    if catalogue_size is None and settings.catalogue_measures:
        yield "The catalogue was not given: coverage and gini are left out."
    if not with_popularity and "novelty" in settings.metrics:
        yield "The popularity of the items was not given: novelty is left out."
    if tests and tests / (settings.permutations + 1) >= 1 - settings.confidence:
        yield f"{tests} comparisons are too many for {settings.permutations} permutations to decide any."
