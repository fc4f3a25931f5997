"""Does fine-tuning carry items that nobody has bought yet? The language model alone, before and after it.

    aisle run --data amazon-mixed-2023 --out runs/mixed
    aisle finetune --out runs/mixed
    python benchmarks/finetune_new_items.py runs/mixed

A user is the mean vector of the history. Beside it: the runs of the report that are named.
"""

from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from aisle.data.prepared import Prepared
from aisle.data.settings import TextSettings
from aisle.eval.evaluate import evaluate
from aisle.eval.settings import EvaluateSettings

MEASURES = ("recall@10", "ndcg@10")


def main(
    folder: Annotated[Path, typer.Argument(help="a folder that `aisle run` and `aisle finetune` wrote")],
    beside: Annotated[list[str], typer.Option(help="runs of its report")] = ["bm25"],  # noqa: B006
    max_tokens: Annotated[int, typer.Option(help="of a text that are read")] = 128,
) -> None:
    """Print a table of all, new and known items, and the differences that fine-tuning makes."""
    from aisle.retriever.settings import EncoderSettings
    from aisle.retriever.untouched import encoder_run

    prepared = Prepared(folder / "prepare")
    models = {"untouched": {}, "fine-tuned": {"model": str(folder / "finetune" / "model")}}
    runs = {
        name: encoder_run(
            prepared,
            TextSettings(),
            EncoderSettings(max_tokens=max_tokens, **model),
            folder / "train" / "model",
            k=10,
        )
        for name, model in models.items()
    }
    runs |= {name: pl.read_parquet(folder / "evaluate" / "runs" / f"{name}.parquet") for name in beside}
    past = prepared.past("test").select("user_id", "item_id").collect()
    report = evaluate(
        prepared.truth("test"),
        runs,
        past=past,
        settings=EvaluateSettings(metrics=("recall", "ndcg"), k=(10,), tested=MEASURES),
        ours=["fine-tuned"],
    )
    print("| items | model | recall@10 (95%) | ndcg@10 (95%) |\n|---|---|---|---|")
    parts = {"all": report.models} | {
        name: part.models for name, part in report.slices.items() if name.endswith("items")
    }
    for part, estimates in parts.items():
        for name in runs:
            cells = [estimates[name][measure] for measure in MEASURES]
            shown = [f"{one.value:.4f} ({one.low:.4f} to {one.high:.4f})" for one in cells]
            print(f"| {part} | {name} | {' | '.join(shown)} |")
    for pair in report.comparisons:
        if pair.model == "fine-tuned":
            interval = f"{pair.difference:+.4f} ({pair.low:+.4f} to {pair.high:+.4f})"
            print(f"fine-tuned - {pair.other}, {pair.measure}: {interval}, {pair.outcome}")


if __name__ == "__main__":
    typer.run(main)
