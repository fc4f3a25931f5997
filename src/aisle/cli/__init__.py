"""The command line.

Here are only the names of the verbs; what takes long to import is imported inside them, so that
`aisle --help` answers at once.
"""

from typing import Annotated

import typer

from aisle.cli import (
    about,
    candidates,
    distilling,
    experiments,
    hub,
    index_tuning,
    indexing,
    measuring,
    planning,
    policies,
    ranking,
    sentiment,
    shops,
    stages,
    tuning,
)
from aisle.cli.verb import verb

app = typer.Typer(
    name="aisle",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="A recommender for shops that reads: your files in, candidates and an evaluation out.",
)


@app.callback(invoke_without_command=True)
def aisle(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Print the version, if asked."""
    if version:
        from importlib import metadata

        typer.echo(metadata.version("aisle"))
        raise typer.Exit


for command in (
    stages.run,
    stages.prepare,
    stages.pretrain,
    stages.finetune,
    stages.train,
    candidates.candidates,
    ranking.ranker,
    ranking.rank,
    tuning.tune,
    measuring.evaluate,
    measuring.compare,
    planning.bench,
    planning.plan,
    shops.shop,
    shops.fetch,
    distilling.distill,
    hub.push,
    about.settings,
):
    verb(app)(command)
verb(indexing.app)(index_tuning.tune)
app.add_typer(indexing.app)

app.add_typer(sentiment.app, name="sentiment")
for question in (policies.offpolicy, policies.interleave, policies.prefer):
    verb(experiments.app)(question)
app.add_typer(experiments.app, name="abtest")


def main() -> None:
    """Run the command line."""
    app()
