"""The evaluate stage: our run, the baselines and the untouched encoder, held against the truth."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import JsonValue

from aisle.baselines import Bench, make_baselines, texts_before
from aisle.context import Made, context_of
from aisle.data.prepared import Part, Prepared
from aisle.data.settings import TextSettings
from aisle.eval.catalogue import Catalogue
from aisle.eval.evaluate import evaluate
from aisle.eval.leaks import Material
from aisle.eval.report import Report, write_report
from aisle.manifest import Manifest
from aisle.memory import peak
from aisle.runs import OURS, Runs
from aisle.settings import Settings
from aisle.stage import Folders

PART: Part = "test"
RANKED = "ranked"


def evaluate_candidates(folders: Folders, settings: Settings) -> Report:
    """Write `truth.parquet`, the runs with what they were made with, `report.json` and `report.html`.

    What the earlier stages were made with is taken from their manifests: `settings` may be those of another
    call. Runs that a killed try has finished are taken as they are.
    """
    prepared = Prepared(folders.inputs["prepare"])
    stages = dict(_manifests(folders))
    used = _used(stages, settings)
    truth = prepared.truth(PART)
    truth.write_parquet(folders.out / "truth.parquet")
    runs = Runs(folders.out / "runs", truth.select("user_id").unique())
    sources = _take_candidates(runs, folders.inputs["candidates"])
    if "rank" in folders.inputs:
        ranked = folders.inputs["rank"] / "ranked.parquet"
        runs.make(RANKED, lambda: pl.read_parquet(ranked))
        sources = [OURS, *sources]
    text = TextSettings.model_validate(used["data"]["text"])
    make_baselines(
        runs,
        Bench(prepared, text, used["retriever"], folders.inputs["train"] / "model", folders.work),
        settings,
        part=PART,
        k=_k(used),
    )
    report = evaluate(
        _with_times(truth, prepared),
        runs,
        protocol=_protocol(prepared, stages["prepare"], used),
        catalogue=_catalogue(prepared, folders.inputs["train"] / "model"),
        past=_past(prepared),
        material=_material(prepared, text),
        settings=settings.evaluate,
        seed=settings.seed,
        ours=[RANKED, *sources] if "rank" in folders.inputs else [OURS, *sources],
    )
    made = Made(
        timings={name: manifest.seconds for name, manifest in stages.items()} | runs.seconds(),
        peak_memory={name: manifest.peak_memory for name, manifest in stages.items()} | {"evaluate": peak()},
        settings={"run": used, "baselines": runs.settings()},
        versions=stages["candidates"].versions,
    )
    shown = {name: runs[name] for name in (OURS, *((RANKED,) if "rank" in folders.inputs else ()))}
    context = context_of(prepared, folders, made, shown, truth, PART, settings)
    write_report(report := report.with_context(context), folders.out)
    return report


def _catalogue(prepared: Prepared, model: Path) -> Catalogue:
    """What is known of the items. Their vectors are those of their texts, if the `model` reads any."""
    from aisle.retriever.model import text_vectors

    return Catalogue.of(prepared.items.select("item_id", "categories", "price"), text_vectors(model))


def _take_candidates(runs: Runs, folder: Path) -> list[str]:
    """Take our run and that of each of its sources alone; the names of these."""
    runs.make(OURS, lambda: pl.read_parquet(folder / "candidates.parquet"))
    sources = {path.stem: path for path in sorted((folder / "sources").glob("*.parquet"))}
    for name, path in sources.items():
        runs.make(name, lambda path=path: pl.read_parquet(path))  # type: ignore[misc]
    return list(sources)


def _past(prepared: Prepared) -> pl.DataFrame:
    """What was known before: users, items, times and stars."""
    return prepared.past(PART).select("user_id", "item_id", "timestamp", "rating").collect()


def _with_times(truth: pl.DataFrame, prepared: Prepared) -> pl.DataFrame:
    """The truth with the time at which each user first took what it wanted, null where none is known."""
    taken = prepared.events(PART).group_by("user_id", "item_id").agg(pl.col("timestamp").min()).collect()
    return truth.join(taken, on=["user_id", "item_id"], how="left", maintain_order="left")


def _material(prepared: Prepared, text: TextSettings) -> Material:
    """The shop as the leak checks look at it, with the texts that the towers read."""
    split: Any = prepared.counts["split"]
    return Material(
        {part: prepared.events(part) for part in ("train", "validation", "test")},
        split["strategy"],
        prepared.target_kinds,
        items=prepared.items,
        texts=lambda: pl.DataFrame(
            {"item_id": prepared.item_ids.values, "text": texts_before(prepared, text, PART)}
        ),
        seen_kinds=prepared.seen_kinds,
    )


def _manifests(folders: Folders) -> Iterator[tuple[str, Manifest]]:
    for name, folder in folders.inputs.items():
        manifest = Manifest.read(folder)
        if manifest is not None:
            yield name, manifest


def _used(stages: Mapping[str, Manifest], settings: Settings) -> dict[str, Any]:
    """The settings that each stage was made with, in the form of `Settings`; `settings` says how to evaluate.

    The seed is that of the training. A mapping of columns is an input, not a setting that bears on a stage.
    """
    prepare, train, index, candidates = (
        stages[name].settings for name in ("prepare", "train", "index", "candidates")
    )
    ranker = {"ranker": stages["ranker"].settings["ranker"]} if "ranker" in stages else {}
    return {
        "seed": stages["train"].seed,
        "data": {**prepare["data"], "text": train["text"]},
        "retriever": train["retriever"],
        "index": index["index"],
        "candidates": candidates["candidates"],
        **ranker,
        "evaluate": settings.evaluate.model_dump(mode="json"),
    }


def _k(used: Mapping[str, Any]) -> int:
    """Length of the lists of candidates."""
    return int(used["candidates"]["k"])


def _protocol(prepared: Prepared, origin: Manifest, used: Mapping[str, Any]) -> dict[str, JsonValue]:
    """What was decided before any run was made."""
    counts = _json(prepared.counts)
    cleaning = used["data"]["clean"]
    return {
        "dataset": str(origin.settings["dataset"]),
        "content": origin.inputs["data"],
        "split": counts["split"],
        "cuts": counts["cuts"],
        "part": PART,
        "target_kinds": counts["target_kinds"],
        "masking": {"seen": counts["seen_kinds"]},
        "filter": {name: cleaning[name] for name in ("min_user_events", "min_item_events")},
        "candidates": "all items",
        "longest_list": _k(used),
    }


def _json(counts: Mapping[str, object]) -> dict[str, JsonValue]:
    return dict(json.loads(json.dumps(counts)))
