"""The baselines of the evaluate stage: those of `eval`, and the two that are made of our own models."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aisle.data.prepared import BEFORE, Part, Prepared
from aisle.data.settings import TextSettings
from aisle.eval.baselines import run_baselines
from aisle.eval.baselines.settings import BaselineSettings
from aisle.retriever.settings import RetrieverSettings
from aisle.runs import Runs
from aisle.settings import Settings

ENCODER = "encoder"
SASREC = "sasrec"


@dataclass(frozen=True)
class Bench:
    """What our own models as baselines need of the run.

    Attributes:
        prepared: the shop.
        text: how items become text.
        retriever: settings of our towers.
        model: folder of our towers.
        work: for what is trained; kept while the stage is not done.
    """

    prepared: Prepared
    text: TextSettings
    retriever: Mapping[str, Any]
    model: Path
    work: Path


def make_baselines(runs: Runs, bench: Bench, settings: Settings, *, part: Part, k: int) -> None:
    """Make the baselines that are not there yet: lists of `k`, and texts of items as our model had them."""
    wanted = settings.evaluate.baselines
    missing = tuple(name for name in wanted.names if name not in runs)
    for baseline in run_baselines(
        bench.prepared,
        lambda part: texts_before(bench.prepared, bench.text, part),
        wanted.model_copy(update={"names": missing}),
        part=part,
        k=k,
        seed=settings.seed,
    ):
        runs.keep(baseline.name, baseline.run, baseline.settings, baseline.seconds)
    if SASREC in missing:
        _make_sasrec(runs, bench, wanted, part=part, k=k, seed=settings.seed)
    if ENCODER in missing:
        from aisle.retriever.untouched import encoder_run

        encoder = settings.retriever.encoder
        runs.make(
            ENCODER,
            lambda: encoder_run(bench.prepared, bench.text, encoder, bench.model, part=part, k=k),
            {"model": encoder.model},
        )


def texts_before(prepared: Prepared, settings: TextSettings, part: Part) -> list[str]:
    """Texts of the items, with the reviews that were written before `part`."""
    from aisle.retriever.texts import item_texts

    return item_texts(prepared, settings, *BEFORE[part])


def _make_sasrec(
    runs: Runs, bench: Bench, settings: BaselineSettings, *, part: Part, k: int, seed: int
) -> None:
    """Tune SASRec under the budget of all baselines, train the best anew on all that is past, and rank."""
    from aisle.eval.baselines.tuning import CUT, tune, tuning_truth, worth
    from aisle.retriever.sasrec import Sasrec, sasrec_settings

    started = time.monotonic()
    prepared, base = bench.prepared, RetrieverSettings.model_validate(bench.retriever)
    truth = tuning_truth(prepared, settings, seed)

    def recipe(point: dict[str, Any]) -> Sasrec:
        name = "-".join(f"{setting}={value}" for setting, value in point.items())
        return Sasrec(prepared, sasrec_settings(base, point), bench.work / SASREC / name, seed)

    def value(point: dict[str, Any]) -> float:
        tried = recipe(point)
        users = truth["user_id"].unique().sort().to_list()
        return worth(tried.run(tried.searched().towers, users, "validation", CUT), truth)

    axes = settings.sasrec.axes()
    if not len(truth):
        axes = {axis: values[:1] for axis, values in axes.items()}
    tuned = tune(axes, value, settings, truth, seed)
    best = recipe(tuned.point)
    epochs = best.searched().epochs
    wanted = prepared.truth(part)["user_id"].unique().sort().to_list()
    run = best.run(best.refitted(epochs).towers, wanted, part, k)
    runs.keep(SASREC, run, tuned.point | {"epochs": epochs} | tuned.how, time.monotonic() - started)
