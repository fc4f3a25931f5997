"""`aisle candidates`: the stage of a run, and the nightly job for the users of a source."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aisle.cli.answers import facts_of, stage_answer
from aisle.cli.options import Config, Redo, Set, settings_of
from aisle.cli.verb import Answer

if TYPE_CHECKING:
    from aisle.batch.job import Request
    from aisle.settings import Settings


def candidates(
    out: Annotated[Path, typer.Option("--out", help="Folder of the run; with --users, of the job's result.")],
    users: Annotated[
        str | None,
        typer.Option(
            "--users",
            metavar="PLACE",
            help="Parquet with events of the users to ask for, instead of the run's own: a file, a folder, "
            "an fsspec URL, or another run.",
        ),
    ] = None,
    run: Annotated[
        Path | None, typer.Option("--run", help="With --users: the run whose model and index answer.")
    ] = None,
    stock: Annotated[
        Path | None,
        typer.Option(
            "--stock", help="With --users: table whose `item_id` are in stock; others are not found."
        ),
    ] = None,
    stock_column: Annotated[
        str | None,
        typer.Option("--stock-column", help="Of --stock: above 0, or true, where an item is in stock."),
    ] = None,
    k: Annotated[int | None, typer.Option("--k", min=1, help="Items of each user [candidates.k].")] = None,
    rerank: Annotated[
        bool, typer.Option("--rerank", help="With --users: in the order of the run's ranker.")
    ] = False,
    incremental: Annotated[
        bool,
        typer.Option(
            "--incremental", help="With --users: ask only for users with new events since last time."
        ),
    ] = False,
    config: Config = None,
    set_: Set = None,
    redo: Redo = False,
) -> Answer:
    """Retrieve the best unseen items of every user of a run, or of a source of events (--users)."""
    from aisle.data.errors import InputError

    settings = settings_of(config, set_, k=k)
    only_with_users = {
        "--run": run,
        "--stock": stock,
        "--stock-column": stock_column,
        "--rerank": rerank,
        "--incremental": incremental,
    }
    if users is None:
        if given := [name for name, value in only_with_users.items() if value]:
            raise InputError(f"--users with {given[0]}", "no --users", "name the events, or leave it out")
        from aisle import pipeline

        return stage_answer(out, pipeline.candidates(out, settings, redo=redo))
    if run is None:
        raise InputError("--run with --users", "none", "name the run whose model and index answer")
    if stock_column is not None and stock is None:
        raise InputError("--stock with --stock-column", "none", "name the table")
    from aisle.batch.job import Request

    request = Request(users, run, out, stock, stock_column, rerank=rerank, incremental=incremental)
    return _job(request, settings, redo=redo)


def _job(request: "Request", settings: "Settings", *, redo: bool) -> Answer:
    from aisle.batch.job import candidates_for_users
    from aisle.batch.local import local_engine
    from aisle.summary import of_stage

    done, summary = candidates_for_users(request, settings, local_engine, redo=redo)
    data: dict[str, Any] = {"out": str(request.out), **facts_of({"batch": done})}
    data["summary"] = summary.model_dump(mode="json")
    return Answer(data, [*of_stage(done), *summary.lines()])
