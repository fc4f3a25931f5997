"""Verbs about settings and version."""

from typing import Annotated

import typer

from aisle.cli.options import Config, Set, settings_of
from aisle.cli.verb import Answer


def settings(
    config: Config = None,
    set_: Set = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="All settings and defaults as a page.")
    ] = False,
) -> Answer:
    """Print all settings in effect, with descriptions, as TOML."""
    from aisle.settings_text import as_markdown, as_toml

    found = settings_of(config, set_)
    return Answer(
        found.model_dump(mode="json"), [(as_markdown() if markdown else as_toml(found)).rstrip("\n")]
    )
