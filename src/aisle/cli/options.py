"""Options that several verbs take, and the settings that they amount to."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from aisle.settings import Settings

Data = Annotated[Path, typer.Option("--data", help="Folder with the shop's files, or one file.")]
Out = Annotated[Path, typer.Option("--out", help="Folder for the results; each stage has its own below it.")]
Config = Annotated[
    Path | None, typer.Option("--config", help="TOML with settings [default: ./aisle.toml, if any].")
]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="One setting; may be repeated.")
]
Seed = Annotated[
    int | None, typer.Option("--seed", help="Of everything random; the same seed, the same candidates.")
]
Strategy = Literal["auto", "leave_one_out", "time", "ratio"]
Split = Annotated[
    Strategy | None, typer.Option("--split", help="How events become train, validation and test.")
]
MappingFile = Annotated[
    Path | None, typer.Option("--mapping", help="TOML that explains the columns of tables.")
]
Encoder = Annotated[
    str | None, typer.Option("--encoder", help="Hugging Face name or folder of a language model.")
]
NoText = Annotated[
    bool, typer.Option("--no-text", help="Learn from events alone: the towers read no texts of items.")
]
Fast = Annotated[bool, typer.Option("--fast", help="Train for half the rounds.")]
Redo = Annotated[bool, typer.Option("--redo", help="Do it although nothing has changed.")]


def settings_of(
    config: Path | None,
    overrides: list[str] | None,
    *,
    no_text: bool = False,
    fast: bool = False,
    **own: object,
) -> "Settings":
    """Settings of the file and of --set, then of the options that have a name of their own."""
    from aisle.settings import load_settings

    keys = {
        "seed": "seed",
        "trials": "tune.trials",
        "split": "data.split.strategy",
        "mapping": "data.mapping",
        "encoder": "retriever.encoder.model",
        "keep": "rebuild.keep",
        "k": "candidates.k",
    }
    given = {keys[name]: value for name, value in own.items() if value is not None}
    named = [
        f"{key}={json.dumps(value if isinstance(value, int) else str(value))}" for key, value in given.items()
    ]
    if no_text:
        named.append('retriever.towers=["ids"]')
    settings = load_settings(config, [*(overrides or []), *named])
    if not fast:
        return settings
    half = max(1, settings.retriever.max_rounds // 2)
    return load_settings(config, [*(overrides or []), *named, f"retriever.max_rounds={half}"])
