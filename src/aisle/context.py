"""What the evaluate stage adds to its report: how models were made, and what people want to see of them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import polars as pl
from pydantic import JsonValue

from aisle.customers import customers
from aisle.data.prepared import Part, Prepared
from aisle.eval.report import Context
from aisle.eval.report.context import Calibration, Customers, ReliabilityBin
from aisle.examples import Lists, examples
from aisle.settings import Settings
from aisle.stage import Folders


class Made(NamedTuple):
    """How the models were made: what :class:`aisle.eval.report.Context` calls by the same names."""

    timings: dict[str, float]
    peak_memory: dict[str, int]
    settings: dict[str, JsonValue]
    versions: dict[str, str]


def context_of(
    prepared: Prepared,
    folders: Folders,
    made: Made,
    shown: Mapping[str, pl.DataFrame],
    truth: pl.DataFrame,
    part: Part,
    settings: Settings,
) -> Context:
    """All that is known around the evaluation of a run; feedback of buyers is written beside the report, too.

    Args:
        prepared: the shop.
        folders: of the evaluate stage.
        made: how the models were made.
        shown: run of the lists as retrieved and, if there is a ranker, that of its order, by name.
        truth: user_id, item_id.
        part: that was predicted.
        settings: of the examples, of sentiment, and the seed.
    """
    inputs = folders.inputs
    (retrieved, *ranked) = shown.items()
    lists = Lists(prepared, part, retrieved, ranked[0] if ranked else None, inputs.get("ranker"))
    return Context(
        **made._asdict(),
        counts=dict(json.loads(json.dumps(prepared.counts))),
        learning_curve=_curve(inputs["train"]),
        language_model_curves={
            name: _curve(inputs[name]) for name in ("pretrain", "finetune") if name in inputs
        },
        calibration=_calibration(inputs["ranker"], ranked[0][0]) if ranked else None,
        examples=examples(lists, truth, settings.evaluate.examples, settings.seed),
        customers=_customers(prepared, settings, folders.out) if ranked else None,
    )


def _curve(folder: Path) -> list[dict[str, JsonValue]]:
    return [json.loads(line) for line in (folder / "curve.jsonl").read_text().splitlines()]


def _calibration(ranker: Path, name: str) -> Calibration:
    """How reliable the ranker's probabilities were on lists of validation that they were not fitted on."""
    table = pl.read_parquet(ranker / "reliability.parquet")
    bins = [ReliabilityBin.model_validate(row) for row in table.iter_rows(named=True)]
    distances = sum(abs(one.predicted - one.observed) * one.count for one in bins)
    return Calibration(
        model=name, of="on users of validation", error=distances / sum(one.count for one in bins), bins=bins
    )


def _customers(prepared: Prepared, settings: Settings, out: Path) -> Customers | None:
    return customers(prepared, settings.ranker.sentiment, out / "feedback")
