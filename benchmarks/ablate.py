"""What each part of the recipe is worth: one setting changed at a time, several seeds.

    python benchmarks/ablate.py DATA OUT [--seeds 3] [--only NAME]...

Prints Markdown: recall@10 and ndcg@10 on test of all sources together and of the main two-tower model alone,
mean over the seeds and, in brackets, the lowest and highest seed; and the seconds and peak memory of a
training. What is in OUT already is not done again.
"""

import json
from pathlib import Path
from statistics import mean
from typing import Annotated

import polars as pl
import typer

from aisle import load_settings, pipeline
from aisle.data.prepared import Prepared
from aisle.eval.evaluate import evaluate
from aisle.eval.settings import EvaluateSettings

VARIANTS: dict[str, tuple[str, ...]] = {
    "recipe": (),
    "ids alone (`--no-text`)": ('retriever.towers=["ids"]',),
    "text alone": ('retriever.towers=["text"]',),
    "hybrid and ids": ('retriever.towers=["hybrid","ids"]',),
    "two hybrids": ('retriever.towers=["hybrid","hybrid"]',),
    "no co-occurrence": ("retriever.co_occurrence=false",),
    "no refit": ("retriever.refit=false",),
    "language model fine-tuned on pairs": ("retriever.finetune.enabled=true",),
    "language model trained with the towers": (
        "retriever.finetune.enabled=true",
        "retriever.finetune.through=towers",
        "retriever.finetune.live_texts=256",
    ),
    "sampled softmax": ("retriever.objective.kind=sampled_softmax",),
    "in-batch softmax": ("retriever.objective.kind=in_batch",),
    "half the rounds (`--fast`)": ("retriever.max_rounds=6",),
    "dim 256": ("retriever.dim=256", "retriever.learning_rate=6e-3"),
}
MODELS = ("fused", "two_tower")
MEASURES = ("recall@10", "ndcg@10")


def main(
    data: Path,
    out: Path,
    seeds: int = 3,
    only: Annotated[list[str] | None, typer.Option()] = None,
) -> None:
    """Run the variants and print their table."""
    print(f"{data.name}, seeds 0 to {seeds - 1}\n")
    print("| variant | fused R@10 / N@10 | two_tower R@10 / N@10 | seconds | MiB |\n|---|---|---|---|---|")
    for name, changes in VARIANTS.items():
        if only and name not in only:
            continue
        folder = out / name.replace(" ", "-").replace("`", "").strip("()")
        found = [measure(data, folder / str(seed), changes, seed) for seed in range(seeds)]
        cells = [
            " / ".join(spread([one[model][what] for one in found]) for what in MEASURES) for model in MODELS
        ]
        seconds, memory = (mean(one["train"][what] for one in found) for what in ("seconds", "MiB"))
        print(f"| {name} | {cells[0]} | {cells[1]} | {seconds:.0f} | {memory:.0f} |", flush=True)


def measure(data: Path, out: Path, changes: tuple[str, ...], seed: int) -> dict[str, dict[str, float]]:
    """Test figures of one variant and seed, and what its training took."""
    settings = load_settings(None, [*changes, f"seed={seed}"])
    pipeline.prepare(data, out, settings)
    if settings.retriever.finetune.enabled:
        pipeline.finetune(out, settings)
    trained = pipeline.train(out, settings)
    pipeline.index(out, settings)
    folder = pipeline.candidates(out, settings).folder
    truth = Prepared(out / "prepare").truth("test")
    paths = {"fused": folder / "candidates.parquet", "two_tower": folder / "sources" / "two_tower.parquet"}
    runs = {name: pl.read_parquet(path) for name, path in paths.items()}
    quick = EvaluateSettings(k=(10,), tested=(), resamples=100)
    report = evaluate(truth, runs, settings=quick)
    found = {name: {what: report.models[name][what].value for what in MEASURES} for name in MODELS}
    found["train"] = {"seconds": trained.manifest.seconds, "MiB": trained.manifest.peak_memory / 2**20}
    (out / "figures.json").write_text(json.dumps(found))
    return found


def spread(values: list[float]) -> str:
    """Mean, and the range over the seeds."""
    return f"{mean(values):.4f} ({min(values):.4f} to {max(values):.4f})"


if __name__ == "__main__":
    typer.run(main)
