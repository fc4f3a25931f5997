"""`aisle candidates`: the stage of a run, and the nightly job for the users of a source."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aisle.cli.answers import facts_of, stage_answer
from aisle.cli.options import Config, Redo, Set, settings_of
from aisle.cli.verb import Answer

if TYPE_CHECKING:
    from aisle.batch.job import Engine, Request
    from aisle.settings import Settings

EngineName = StrEnum("EngineName", ["local", "ray"])


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
    index: Annotated[
        str | None,
        typer.Option("--index", metavar="PLACE", help="With --users: nightly index of the run's model."),
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
    engine: Annotated[
        EngineName, typer.Option("--engine", help="With --users: this process, or actors on Ray.")
    ] = EngineName.local,
    address: Annotated[
        str | None,
        typer.Option("--address", help="Of a Ray cluster; one of this machine is started unless given."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Actors on Ray [one a GPU, or one a core].")
    ] = None,
    config: Config = None,
    set_: Set = None,
    redo: Redo = False,
) -> Answer:
    """Retrieve the best unseen items of every user of a run, or of a source of events (--users)."""
    from aisle.data.errors import InputError

    settings = settings_of(config, set_, k=k)
    only_with_users = {
        "--run": run,
        "--index": index,
        "--stock": stock,
        "--stock-column": stock_column,
        "--rerank": rerank,
        "--incremental": incremental,
        "--engine": engine is not EngineName.local,
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
    if engine is EngineName.local and (address or workers):
        raise InputError("--engine ray with --address or --workers", "the local engine", "add --engine ray")
    from aisle.batch.job import Request

    request = Request(users, run, out, index, stock, stock_column, rerank=rerank, incremental=incremental)
    return _job(request, settings, _engine(engine, address, workers), redo=redo)


def _engine(name: EngineName, address: str | None, workers: int | None) -> "Engine":
    if name is EngineName.local:
        from aisle.batch.local import local_engine

        return local_engine
    from aisle.batch.on_ray import RayEngine

    return RayEngine(address, workers)


def _job(request: "Request", settings: "Settings", engine: "Engine", *, redo: bool) -> Answer:
    from aisle.retriever.arithmetic import share_one_heap

    share_one_heap()  # before anything that starts threads is imported
    from aisle.batch.job import candidates_for_users
    from aisle.summary import of_stage

    done, summary = candidates_for_users(request, settings, engine, redo=redo)
    data: dict[str, Any] = {"out": str(request.out), **facts_of({"batch": done})}
    data["summary"] = summary.model_dump(mode="json")
    return Answer(data, [*of_stage(done), *summary.lines()])
