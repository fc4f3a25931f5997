"""The evaluate stage: our run, the baselines and the untouched encoder, held against the truth."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import JsonValue

from aisle.data.prepared import BEFORE, Part, Prepared
from aisle.durable import write_whole
from aisle.eval.baselines import run_baselines
from aisle.eval.evaluate import evaluate
from aisle.eval.report import Report, write_report
from aisle.manifest import Manifest
from aisle.memory import peak
from aisle.settings import Settings
from aisle.stages import Folders

PART: Part = "test"
OURS = "two_tower"
ENCODER = "encoder"


def evaluate_candidates(folders: Folders, settings: Settings) -> Report:
    """Write `runs/<model>.parquet`, `runs/<model>.json` (settings, seconds), `report.json` and `report.html`.

    Runs that a killed try has finished are taken as they are.
    """
    prepared = Prepared(folders.inputs["prepare"])
    runs = Runs(folders.out / "runs", prepared.truth(PART).select("user_id").unique())
    runs.make(OURS, lambda: pl.read_parquet(folders.inputs["candidates"] / "candidates.parquet"))
    _run_baselines(runs, prepared, settings)
    runs.make(ENCODER, lambda: _encoder_run(prepared, settings))
    stages = dict(_manifests(folders))
    report = evaluate(
        prepared.truth(PART),
        {name: runs.read(name) for name in runs.names()},
        protocol=_protocol(prepared, settings, stages["prepare"]),
        catalogue=prepared.item_ids,
        popularity=_popularity(prepared),
        settings=settings.evaluate,
        seed=settings.seed,
        ours=[OURS],
    ).with_context(
        counts=_json(prepared.counts),
        timings={name: manifest.seconds for name, manifest in stages.items()} | runs.seconds(),
        peak_memory={name: manifest.peak_memory for name, manifest in stages.items()} | {"evaluate": peak()},
        settings={"run": settings.model_dump(mode="json"), "baselines": runs.settings()},
        versions=stages["candidates"].versions,
        learning_curve=_curve(folders.inputs["train"] / "curve.jsonl"),
    )
    write_report(report, folders.out)
    return report


class Runs:
    """Runs in a folder, each whole or not there.

    Args:
        folder: made if need be.
        users: the users of the truth, a column user_id; runs are kept for them alone.
    """

    def __init__(self, folder: Path, users: pl.DataFrame) -> None:
        self.folder = folder
        self._users = users
        folder.mkdir(parents=True, exist_ok=True)

    def names(self) -> list[str]:
        """Models with a whole run: ours, then the others by name."""
        return sorted(
            (path.stem for path in self.folder.glob("*.json")), key=lambda name: (name != OURS, name)
        )

    def make(self, name: str, run: Callable[[], pl.DataFrame]) -> None:
        """Keep what `run` returns, unless a run of that name is there."""
        if name not in self.names():
            started = time.monotonic()
            found = run()
            self.keep(name, found, {}, time.monotonic() - started)

    def keep(self, name: str, run: pl.DataFrame, settings: Mapping[str, object], seconds: float) -> None:
        """Write a run, then the settings that it was made with: the mark that it is whole."""
        kept = run.join(self._users, on="user_id", how="semi", maintain_order="left")
        kept.write_parquet(self.folder / f"{name}.parquet")
        about = {"settings": dict(settings), "seconds": round(seconds, 3)}
        write_whole(self.folder / f"{name}.json", json.dumps(about, indent=1) + "\n")

    def read(self, name: str) -> pl.DataFrame:
        """The run of a model."""
        return pl.read_parquet(self.folder / f"{name}.parquet")

    def seconds(self) -> dict[str, float]:
        """Seconds that each model's run took."""
        return {name: self._about(name)["seconds"] for name in self.names() if name != OURS}

    def settings(self) -> dict[str, JsonValue]:
        """Settings that each model's run was made with, where it chose any."""
        chosen = {name: self._about(name)["settings"] for name in self.names()}
        return {name: settings for name, settings in chosen.items() if settings}

    def _about(self, name: str) -> dict[str, Any]:
        return dict(json.loads((self.folder / f"{name}.json").read_text()))


def _run_baselines(runs: Runs, prepared: Prepared, settings: Settings) -> None:
    from aisle.retriever.texts import item_texts

    wanted = settings.evaluate.baselines
    missing = tuple(name for name in wanted.names if name not in runs.names())
    if not missing:
        return
    texts = item_texts(prepared, settings.data.text, *BEFORE[PART])
    for baseline in run_baselines(
        prepared,
        texts,
        wanted.model_copy(update={"names": missing}),
        part=PART,
        k=settings.candidates.k,
        seed=settings.seed,
    ):
        runs.keep(baseline.name, baseline.run, baseline.settings, baseline.seconds)


def _encoder_run(prepared: Prepared, settings: Settings) -> pl.DataFrame:
    from aisle.retriever.candidates import encoder_run

    return encoder_run(prepared, settings.data.text, settings.retriever, part=PART, k=settings.candidates.k)


def _manifests(folders: Folders) -> Iterator[tuple[str, Manifest]]:
    for name, folder in folders.inputs.items():
        manifest = Manifest.read(folder)
        if manifest is not None:
            yield name, manifest


def _protocol(prepared: Prepared, settings: Settings, origin: Manifest) -> dict[str, JsonValue]:
    """What was decided before any run was made."""
    counts = _json(prepared.counts)
    cleaning = settings.data.clean
    return {
        "dataset": str(origin.settings["dataset"]),
        "content": origin.inputs["data"],
        "split": counts["split"],
        "cuts": counts["cuts"],
        "part": PART,
        "target_kinds": counts["target_kinds"],
        "masking": {"seen": counts["seen_kinds"]},
        "filter": {
            "min_user_events": cleaning.min_user_events,
            "min_item_events": cleaning.min_item_events,
        },
        "candidates": "all items",
        "longest_list": settings.candidates.k,
    }


def _popularity(prepared: Prepared) -> pl.DataFrame:
    """How often each item occurs in what was known: item_id, events."""
    named = prepared.past(PART).filter(pl.col("item_id").is_not_null())
    return named.group_by("item_id").agg(events=pl.len()).sort("item_id").collect()


def _curve(path: Path) -> list[dict[str, JsonValue]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _json(counts: Mapping[str, object]) -> dict[str, JsonValue]:
    return dict(json.loads(json.dumps(counts)))
