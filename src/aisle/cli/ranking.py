"""Verbs that put candidates in order."""

from pathlib import Path
from typing import Annotated

import typer

from aisle.cli.answers import stage_answer
from aisle.cli.options import Config, Out, Redo, Seed, Set, settings_of
from aisle.cli.verb import Answer


def ranker(
    out: Out, config: Config = None, set_: Set = None, seed: Seed = None, redo: Redo = False
) -> Answer:
    """Train a ranker on what users took in validation."""
    from aisle import pipeline

    return stage_answer(out, pipeline.ranker(out, settings_of(config, set_, seed=seed), redo=redo))


def rank(
    out: Annotated[
        Path, typer.Option("--out", help="Folder of the run; with --candidates, the Parquet file to write.")
    ],
    candidates: Annotated[
        Path | None,
        typer.Option(
            "--candidates",
            help="Parquet file to rank instead of the run's candidates: user_id, history and candidates "
            "(lists of item ids).",
        ),
    ] = None,
    ranker: Annotated[
        str | None,
        typer.Option("--ranker", help="With --candidates: a ranker's folder, or its name on the hub."),
    ] = None,
    student: Annotated[
        bool,
        typer.Option(
            "--student",
            help="With --candidates: the ranker's student (ranker.student.enabled).",
        ),
    ] = False,
    k: Annotated[
        int | None, typer.Option("--k", help="With --candidates: items of each user; all unless told.")
    ] = None,
    redo: Redo = False,
) -> Answer:
    """Put candidates in the ranker's order: those of a run, or those of a file."""
    from aisle.data.errors import InputError

    if candidates is None:
        if ranker is not None or k is not None or student:
            raise InputError(
                "--candidates with --ranker, --student or --k", "none", "name the file, or leave them out"
            )
        from aisle import pipeline

        return stage_answer(out, pipeline.rank(out, redo=redo))
    if ranker is None:
        raise InputError("--ranker with --candidates", "none", "give the folder that `aisle ranker` wrote")
    if redo:
        raise InputError("--redo for the candidates of a run", "--candidates", "leave one of them out")
    import polars as pl

    from aisle.data.tables import write_table
    from aisle.ranker import Ranker
    from aisle.ranker.files import read_lists

    run = Ranker.load(ranker, student=student).rank_many(read_lists(candidates), k)
    write_table(run, out)
    users = run.select(pl.col("user_id").n_unique()).item()
    facts = {"out": str(out), "users": users, "rows": len(run)}
    return Answer(facts, [f"{len(run):,} items of {users:,} users in order: {out}"])
