"""`aisle index tune`: which index is the cheapest that finds enough."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aisle.cli.options import Config, Set, settings_of
from aisle.cli.verb import Answer

if TYPE_CHECKING:
    from rich.table import Table

    from aisle.index.tune import Trial


def tune(
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of a run: its items, asked for by its users.")
    ] = None,
    index: Annotated[
        str | None,
        typer.Option("--index", metavar="PLACE", help="Versions of an index: its items, asked for by items."),
    ] = None,
    recall: Annotated[
        float, typer.Option("--recall", min=0.0, max=1.0, help="Share of the true best that must be found.")
    ] = 0.95,
    k: Annotated[int, typer.Option("--k", min=1, help="How many best count.")] = 100,
    queries: Annotated[int, typer.Option("--queries", min=1, help="Size of the sample that asks.")] = 500,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            "--kind", help="Kind or FAISS factory string to try; may be repeated [default: several]."
        ),
    ] = None,
    config: Config = None,
    set_: Set = None,
) -> Answer:
    """Find the fastest index that finds enough, on the shop's own vectors."""
    from aisle.data.errors import InputError
    from aisle.index.tune import TUNED, tune
    from aisle.index_tuning import of_run, of_versions

    settings = settings_of(config, set_)
    if (out is None) == (index is None):
        raise InputError(
            "--out RUN or --index PLACE", "both" if out else "neither", "say whose vectors are asked for"
        )
    vectors, asked = (
        of_run(out, settings, queries) if out else of_versions(str(index), queries, settings.seed)
    )
    best, trials = tune(
        vectors, asked, settings.index, k=min(k, len(vectors)), recall=recall, tried=kind or TUNED
    )
    chosen = best.settings.model_dump(mode="json")
    lines = [f"kind = '{chosen['kind']}'", "", "[index.search]"]
    lines += [f"{name} = {value}" for name, value in chosen["search"].items()]
    return Answer(
        {"best": _facts(best), "trials": [_facts(trial) for trial in trials]},
        [_table(trials, best), "\n".join(["[index]", *lines])],
    )


def _facts(trial: "Trial") -> dict[str, object]:
    settings = trial.settings.model_dump(mode="json", include={"kind", "metric", "storage", "search"})
    return {**settings, "recall": trial.recall, "rate": trial.rate, "build": trial.build}


def _table(trials: "list[Trial]", best: "Trial") -> "Table":
    from rich.table import Table

    table = Table()
    for column in ("kind", "effort"):
        table.add_column(column)
    for column in ("recall", "queries/processor s", "build s", ""):
        table.add_column(column, justify="right")
    for trial in trials:
        effort = trial.settings.search.model_dump(exclude_unset=True)
        said = ", ".join(f"{name} {value}" for name, value in effort.items())
        numbers = (f"{trial.recall:.3f}", f"{trial.rate:,.0f}", f"{trial.build:,.1f}")
        table.add_row(trial.settings.kind, said, *numbers, "best" if trial is best else "")
    return table
