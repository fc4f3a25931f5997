"""The verb that searches settings."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from aisle.cli.options import Config, Out, Seed, Set, settings_of
from aisle.cli.verb import Answer

if TYPE_CHECKING:
    from rich.table import Table

    from aisle.tuning import Tuned

SHOWN = 10
"""Rows of the table of trials."""


def tune(
    out: Out,
    trials: Annotated[
        int | None, typer.Option("--trials", min=1, help="Recipes to try, earlier calls' included.")
    ] = None,
    config: Config = None,
    set_: Set = None,
    seed: Seed = None,
) -> Answer:
    """Search the retriever's settings on validation (tune.space)."""
    from aisle.tuning import tune

    settings = settings_of(config, set_, seed=seed, trials=trials)
    tuned = tune(out, settings)
    best = tuned.folder / "best.toml"
    data = {
        "best": str(best),
        "ndcg@10": tuned.value,
        "settings": tuned.changed,
        "trials": tuned.trials,
    }
    return Answer(
        data,
        [
            _table(tuned),
            f"best: validation ndcg@10 {tuned.value:.4f}: {best}",
            f"next: aisle run --data DATA --out OUT --config {best}",
        ],
    )


def _table(tuned: "Tuned") -> "Table":
    """The best trials, best first."""
    from rich.table import Table

    names = list(tuned.changed)
    table = Table(title=f"{len(tuned.trials)} trials, the best {SHOWN}")
    for column in ("trial", "state", "ndcg@10", *(name.rpartition(".")[2] for name in names)):
        table.add_column(column, justify="left" if column == "state" else "right")
    for trial in sorted(tuned.trials, key=lambda trial: -(trial["ndcg@10"] or 0.0))[:SHOWN]:
        value = "" if trial["ndcg@10"] is None else f"{trial['ndcg@10']:.4f}"
        cells = [_cell(trial[name]) for name in names if name in trial]
        table.add_row(str(trial["trial"]), trial["state"], value, *cells)
    return table


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
