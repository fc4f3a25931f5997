"""Runs and truth to a report."""

import platform
from collections.abc import Collection, Mapping
from importlib.metadata import version
from pathlib import Path

import polars as pl
from pydantic import JsonValue

from aisle.data.errors import InputError
from aisle.data.progress import track
from aisle.eval.catalogue import Catalogue
from aisle.eval.caveats import caveats
from aisle.eval.comparing import compare
from aisle.eval.concentration import SHARES, Popular
from aisle.eval.files import read_catalogue, read_parquet, read_run, read_truth
from aisle.eval.leaks import Material, Strategy, check_leaks
from aisle.eval.measuring import Ground, Measured, measure
from aisle.eval.metrics.measure import NEEDS, is_known, parse
from aisle.eval.profiles import Profiles
from aisle.eval.protocol import describe
from aisle.eval.report.schema import Method, Popularity, Report, Sampled
from aisle.eval.runs import check_ids, check_past, check_truth
from aisle.eval.sampled import what_sampling_does
from aisle.eval.seeds import by_model, merge, seed_weights, values_by_seed
from aisle.eval.settings import EvaluateSettings
from aisle.eval.slices import Known, slices
from aisle.eval.slices.measuring import measure_parts


def evaluate(
    truth: pl.DataFrame,
    runs: Mapping[str, pl.DataFrame],
    *,
    protocol: Mapping[str, JsonValue] | None = None,
    catalogue: Catalogue | None = None,
    past: pl.DataFrame | None = None,
    material: Material | None = None,
    settings: EvaluateSettings | None = None,
    seed: int = 0,
    ours: Collection[str] = (),
) -> Report:
    """Measure every run against the truth and compare every pair of them.

    Args:
        truth: user_id, item_id and optionally relevance (:mod:`aisle.eval.runs`) and timestamp.
        runs: by model name; user_id, item_id, score and optionally rank. Each is asked for once and
            forgotten before the next, so a mapping that reads them when asked needs memory for one. Several
            runs of a model are named by their seeds: `fused@0`, `fused@1` (:mod:`aisle.eval.seeds`).
        protocol: what was decided before the runs were made (:mod:`aisle.eval.protocol`).
        catalogue: what is known of the items; metrics that need more than is given are left out.
        past: what was known before: user_id, item_id (null in events without item), and timestamp and rating
            where they are known. It decides what is reported apart (:mod:`aisle.eval.slices`), and the
            popularity of the items is counted where the catalogue does not tell it; with categories in the
            catalogue, too, lists are held against what their users cared for.
        material: the data around the truth, for leak checks (:mod:`aisle.eval.leaks`); none are made without.
        seed: of the resampling; the same inputs and seed give the same report.
        ours: the model that the verdict holds against the best baseline, then others that are no baselines.

    Raises:
        InputError: there is no run, a run or the truth cannot be used, or `ours` names an unknown model.
    """
    settings = settings or EvaluateSettings()
    if not runs:
        raise InputError("at least one run", "none", "pass the run of a model")
    models = by_model(runs)
    unknown = [name for name in ours if name not in models]
    if unknown:
        raise InputError(
            f"models among {', '.join(models)}", f"`ours` names {unknown[0]!r}", "correct the name"
        )
    wanted = check_truth(truth)
    if past is not None:
        check_past(past, wanted)
    if past is not None and catalogue is not None and not catalogue.has("events"):
        catalogue = catalogue.counted(past)
    profiles = None
    if past is not None and catalogue is not None and catalogue.has("categories"):
        profiles = Profiles.of(past, wanted, catalogue)
    _need_what_decides(settings, catalogue, profiles)
    parts = slices(wanted, Known.of(past, truth, catalogue)) if settings.tested else {}
    popular = Popular.of(catalogue)
    ground = Ground(wanted, settings, seed, catalogue, profiles, popular, parts, material)
    single = {name: measure(runs[name], name, ground) for name in track(runs, "evaluating", len(runs))}
    weights = {
        name: seed_weights(len(seeds), settings.resamples, seed, name) for name, seeds in models.items()
    }
    measured = {
        name: merge([single[run] for run in seeds.values()], weights[name], settings.confidence)
        for name, seeds in models.items()
    }
    leaks = None
    if material is not None:
        leaks = check_leaks(material, [found for model in measured.values() for found in model.findings])
    comparisons = compare(measured, settings, seed, ours)
    among = _sampled(measured, settings, catalogue)
    report = Report(
        protocol=describe(
            protocol or {},
            wanted,
            settings.k,
            catalogue,
            past=past,
            sampled_negatives=settings.sampled_negatives,
        ),
        models={name: model.estimates for name, model in measured.items()},
        primary=settings.primary,
        ours=list(ours),
        comparisons=comparisons,
        leaks=leaks,
        popularity=popular
        and Popularity(
            k=parse(settings.primary).k,
            catalogue=list(SHARES),
            wanted=popular.wanted(wanted),
            models={name: list(model.popular) for name, model in measured.items()},
        ),
        sampled=among,
        runs={name: run.counts for name, run in single.items()},
        seeds=values_by_seed(models, single, settings.tested),
        method=Method(
            confidence=settings.confidence,
            resamples=settings.resamples,
            permutations=settings.permutations,
            seed=seed,
        ),
        warnings=list(caveats(wanted, single, settings, catalogue, len(comparisons), leaks, profiles, among)),
        versions={
            "python": platform.python_version(),
            **{package: version(package) for package in ("aisle", "numpy", "polars")},
        },
    )
    scores = {name: model.parts for name, model in measured.items()}
    apart = measure_parts(parts, scores, weights, report.contest(), settings, seed)
    return report.model_copy(update={"slices": apart})


def _need_what_decides(
    settings: EvaluateSettings, catalogue: Catalogue | None, profiles: Profiles | None
) -> None:
    """Refuse to leave out the measures of the verdict and of the tests.

    Raises:
        InputError: one of them needs what is not given.
    """
    for name in (settings.primary, *settings.tested):
        metric = parse(name).metric
        if not is_known(metric, catalogue, profiles):
            raise InputError(
                f"what {name} is measured with: {NEEDS[metric]}",
                "none",
                "give the catalogue (--items; with `events`, or --train), or test another measure",
            )


def _sampled(
    measured: Mapping[str, Measured], settings: EvaluateSettings, catalogue: Catalogue | None
) -> Sampled | None:
    """Sampled metrics, if they were asked for and can be had."""
    if not settings.sampled_negatives or catalogue is None:
        return None
    values = {name: model.sampled for name, model in measured.items()}
    models, alone = (
        {name: {measure: one[at] for measure, one in found.items()} for name, found in values.items()}
        for at in (0, 1)
    )
    notes = what_sampling_does(values, settings.sampled_negatives, catalogue.size)
    return Sampled(negatives=settings.sampled_negatives, models=models, alone=alone, notes=notes)


def evaluate_files(
    runs: Mapping[str, Path],
    truth: Path,
    *,
    catalogue: Path | None = None,
    vectors: Path | None = None,
    train: Path | None = None,
    users: Path | None = None,
    split: Strategy | None = None,
    protocol: Mapping[str, JsonValue] | None = None,
    settings: EvaluateSettings | None = None,
    seed: int = 0,
    ours: Collection[str] = (),
) -> Report:
    """:func:`evaluate` on files: anybody's runs against anybody's truth.

    Args:
        runs: Parquet or TREC text (:mod:`aisle.eval.files`), by the name of the model.
        truth: Parquet or TREC qrels.
        catalogue: Parquet with a column item_id and what else is known (:mod:`aisle.eval.catalogue`).
        vectors: Parquet with item_id and vector, for diversity; needs `catalogue`.
        train: what the models learned from, Parquet or TREC qrels; leaks are looked for between it and the
            truth (:mod:`aisle.eval.leaks`), and new users and items are reported apart.
        users: Parquet with user_id and what models know of the users; leaks are looked for in its numbers;
            needs `train`.
        split: how the truth was split off from `train`, for these checks and the protocol.

    Raises:
        InputError: a file cannot be used.
    """
    if vectors is not None and catalogue is None:
        raise InputError("the items of the vectors", "vectors alone", "pass the catalogue, too (--items)")
    if users is not None and train is None:
        raise InputError("what came before the truth", "users alone", "pass what was learned from (--train)")
    wanted = read_truth(truth)
    items = None if catalogue is None else read_catalogue(catalogue, vectors)
    past = None if train is None else read_truth(train)
    material = None
    for path, column in ((catalogue, "item_id"), (users, "user_id")):
        if path is not None:
            check_ids(read_parquet(path), column, check_truth(wanted), str(path))
    if past is not None:
        of_users = None if users is None else read_parquet(users)
        material = Material.of_files(
            past, wanted, strategy=split, items=items.items if items else None, users=of_users
        )
    return evaluate(
        wanted,
        {name: read_run(path) for name, path in runs.items()},
        protocol={**({} if split is None else {"split": split}), **(protocol or {})},
        catalogue=items,
        past=past,
        material=material,
        settings=settings,
        seed=seed,
        ours=ours,
    )
