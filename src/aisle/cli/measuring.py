"""Verbs that measure: candidates against baselines, anybody's runs, and one report against another."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aisle.cli.answers import facts_of, report_answer, warned
from aisle.cli.options import Config, Redo, Seed, Set, settings_of
from aisle.cli.verb import Answer

if TYPE_CHECKING:
    from aisle.settings import Settings


class Split(StrEnum):
    """How a truth was split off (:data:`aisle.eval.leaks.Strategy`)."""

    leave_one_out = "leave_one_out"
    time = "time"
    ratio = "ratio"
    users = "users"


def evaluate(
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of the run; with --run: for the report.")
    ] = None,
    run: Annotated[
        list[str] | None,
        typer.Option(
            "--run",
            metavar="[NAME=]FILE",
            help="Anybody's run (Parquet or TREC), named by its file unless told; may be repeated.",
        ),
    ] = None,
    truth: Annotated[Path | None, typer.Option("--truth", help="What the users of --run wanted.")] = None,
    items: Annotated[
        Path | None,
        typer.Option(
            "--items",
            help="Parquet with the item_id of the whole catalogue; events, categories, price if known.",
        ),
    ] = None,
    vectors: Annotated[
        Path | None,
        typer.Option("--vectors", help="Parquet with item_id and vector of --items, for diversity."),
    ] = None,
    train: Annotated[
        Path | None,
        typer.Option(
            "--train", help="What the models learned from: leaks are looked for between it and --truth."
        ),
    ] = None,
    users: Annotated[
        Path | None,
        typer.Option(
            "--users", help="Parquet with user_id and what models know of the users, for leak checks."
        ),
    ] = None,
    split: Annotated[
        Split | None, typer.Option("--split", help="How --truth was split off from --train.")
    ] = None,
    config: Config = None,
    set_: Set = None,
    seed: Seed = None,
    redo: Redo = False,
) -> Answer:
    """Hold candidates against baselines, or any runs (--run) against a truth."""
    settings = settings_of(config, set_, seed=seed)
    if run:
        files = {
            "catalogue": items,
            "vectors": vectors,
            "train": train,
            "users": users,
            "split": split and split.value,
        }
        return _evaluate_files(run, truth, files, out, settings)
    from aisle.data.errors import InputError

    beside = {
        "--truth": truth,
        "--items": items,
        "--vectors": vectors,
        "--train": train,
        "--users": users,
        "--split": split,
    }
    given = next((name for name, value in beside.items() if value is not None), None)
    if out is None or given:
        found = f"{given} without --run" if given else "neither"
        raise InputError("--out alone, or --run and --truth", found, "see `aisle evaluate --help`")
    from aisle import pipeline

    done = pipeline.evaluate(out, settings, redo=redo)
    report = report_answer(done.folder)
    return Answer({"out": str(out), **facts_of({"evaluate": done}), **report.data}, report.shown)


def compare(
    before: Annotated[Path, typer.Argument(metavar="RUN_A", help="Folder of a run, or its report.json.")],
    after: Annotated[
        Path, typer.Argument(metavar="RUN_B", help="Folder of a later run, or its report.json.")
    ],
    out: Annotated[Path | None, typer.Option("--out", help="HTML file for the whole comparison.")] = None,
) -> Answer:
    """Show what changed between two runs, if they were measured on the same, with a paired test of each."""
    from aisle.eval.changes import Evaluation, changes
    from aisle.eval.report.compare import changes_table

    one, other = Evaluation.read(before), Evaluation.read(after)
    found = changes(one, other)
    facts = [
        {
            "model": change.model,
            "measure": change.measure,
            "before": change.before,
            "after": change.after,
            "difference": change.difference,
            **(
                {
                    "risen": change.users.risen,
                    "fallen": change.users.fallen,
                    "test": change.test and change.test.model_dump(exclude={"model", "other", "measure"}),
                }
                if change.users
                else {}
            ),
        }
        for change in found
    ]
    shown: list[Any] = [changes_table(one.report, found)]
    if out is None:
        return Answer({"changes": facts}, shown)
    from aisle.durable import write_whole
    from aisle.eval.report.compare_page import compare_html

    out.parent.mkdir(parents=True, exist_ok=True)
    write_whole(out, compare_html(one.report, other.report, found))
    return Answer({"changes": facts, "page": str(out)}, [*shown, f"page: {out}"])


def _named(runs: list[str]) -> dict[str, Path]:
    """Files of `[NAME=]FILE` by name.

    Raises:
        InputError: two have the same name.
    """
    from aisle.data.errors import InputError

    named: dict[str, Path] = {}
    for run in runs:
        name, given, file = run.partition("=")
        if not given or "/" in name:  # folders may be called day=1
            name, file = Path(run).stem, run
        path = Path(file)
        if not name or not file:
            raise InputError(
                "--run [NAME=]FILE", f"--run {run}", "write a name before =, and a file after it"
            )
        if name in named:
            fix = "name one of them: --run NAME=FILE"
            raise InputError("runs of different names", f"{named[name]} and {path} are both {name!r}", fix)
        named[name] = path
    return named


def _evaluate_files(
    runs: list[str], truth: Path | None, files: dict[str, Any], out: Path | None, settings: "Settings"
) -> Answer:
    """Evaluate the files of runs; `files` are the other ones, as :func:`evaluate_files` takes them."""
    from aisle.data.errors import InputError
    from aisle.eval.evaluate import evaluate_files
    from aisle.eval.report import tables, write_report

    if truth is None:
        raise InputError("--truth FILE with --run", "--run alone", "name the file with what the users wanted")
    named = _named(runs)
    report = evaluate_files(named, truth, settings=settings.evaluate, seed=settings.seed, **files)
    if out is None:
        return Answer(report.model_dump(mode="json"), [*tables(report), *warned(report)])
    write_report(report, out)
    return report_answer(out)
