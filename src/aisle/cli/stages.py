"""Verbs that bring stages up to date: one by one, or all."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from aisle.cli.answers import facts_of, report_answer, stage_answer
from aisle.cli.options import (
    Config,
    Data,
    Encoder,
    Fast,
    MappingFile,
    NoText,
    Out,
    Redo,
    Seed,
    Set,
    Split,
    settings_of,
)
from aisle.cli.verb import Answer

StageName = StrEnum(
    "StageName",
    ["prepare", "pretrain", "finetune", "train", "index", "candidates", "ranker", "rank", "evaluate"],
)


def run(
    data: Data,
    out: Out,
    config: Config = None,
    set_: Set = None,
    seed: Seed = None,
    split: Split = None,
    mapping: MappingFile = None,
    encoder: Encoder = None,
    no_text: NoText = False,
    fast: Fast = False,
    redo: Annotated[
        list[StageName] | None,
        typer.Option(
            "--redo",
            metavar="STAGE",
            help=f"A stage to do although nothing has changed ({', '.join(StageName)}); may be repeated.",
        ),
    ] = None,
) -> Answer:
    """Do all that follows: prepare, train, index, candidates, evaluate; what is enabled, too.

    Those are pretrain and finetune (before train), and ranker and rank (before evaluate).
    """
    from aisle import pipeline

    settings = settings_of(
        config,
        set_,
        no_text=no_text,
        fast=fast,
        seed=seed,
        split=split,
        mapping=mapping,
        encoder=encoder,
    )
    done = pipeline.run(data, out, settings, redo=[stage.value for stage in redo or ()])
    report = report_answer(done["evaluate"].folder)
    return Answer({"out": str(out), **facts_of(done), **report.data}, report.shown)


def prepare(
    data: Data,
    out: Out,
    config: Config = None,
    set_: Set = None,
    split: Split = None,
    mapping: MappingFile = None,
    redo: Redo = False,
) -> Answer:
    """Clean the shop's files and split them by time or order."""
    from aisle import pipeline
    from aisle.data.prepared import Prepared
    from aisle.summary import of_counts

    done = pipeline.prepare(data, out, settings_of(config, set_, split=split, mapping=mapping), redo=redo)
    counts = Prepared(done.folder).counts
    return Answer({"out": str(out), **facts_of({"prepare": done}), "counts": counts}, of_counts(done, counts))


def pretrain(
    out: Out,
    config: Config = None,
    set_: Set = None,
    seed: Seed = None,
    encoder: Encoder = None,
    texts: Annotated[
        Path | None,
        typer.Option(
            "--texts", help="Table to read instead of the prepared shop: CSV, TSV, Parquet, JSON lines."
        ),
    ] = None,
    column: Annotated[str, typer.Option("--column", help="Column of --texts.")] = "text",
    redo: Redo = False,
) -> Answer:
    """Train the language model further, or anew, on the shop's own text."""
    from aisle import pipeline

    chosen = settings_of(config, set_, seed=seed, encoder=encoder)
    table = (texts, column) if texts is not None else None
    return stage_answer(out, pipeline.pretrain(out, chosen, texts=table, redo=redo))


def finetune(
    out: Out,
    config: Config = None,
    set_: Set = None,
    seed: Seed = None,
    encoder: Encoder = None,
    redo: Redo = False,
) -> Answer:
    """Fine-tune the language model on what users take together (optional)."""
    from aisle import pipeline

    return stage_answer(
        out, pipeline.finetune(out, settings_of(config, set_, seed=seed, encoder=encoder), redo=redo)
    )


def train(
    out: Out,
    config: Config = None,
    set_: Set = None,
    seed: Seed = None,
    encoder: Encoder = None,
    no_text: NoText = False,
    fast: Fast = False,
    redo: Redo = False,
) -> Answer:
    """Train the sources of candidates on the prepared shop."""
    from aisle import pipeline

    settings = settings_of(config, set_, no_text=no_text, fast=fast, seed=seed, encoder=encoder)
    return stage_answer(out, pipeline.train(out, settings, redo=redo))
