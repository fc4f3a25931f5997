"""Verbs that bring shops: an embedded one, and public data sets."""

from pathlib import Path
from typing import Annotated

import typer

from aisle.cli.verb import Answer


def number(text: str) -> int:
    """A whole number such as 1000, 1e6 or 10_000.

    Raises:
        typer.BadParameter: it is not one.
    """
    try:
        value = float(text.replace("_", ""))
    except ValueError:
        value = float("nan")
    if not value.is_integer() or value < 1:
        raise typer.BadParameter(f"expected a whole number such as 1000 or 1e6, found {text!r}")
    return int(value)


def shop(
    out: Annotated[
        Path, typer.Option("--out", help="Folder for raw/ (the files) and truth/ (what was planted).")
    ],
    users: Annotated[
        int, typer.Option("--users", parser=number, metavar="N", help="Users, such as 1e6.")
    ] = 1000,
    items: Annotated[int, typer.Option("--items", parser=number, metavar="N", help="Products.")] = 400,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of everything random.")] = 0,
    events_per_user: Annotated[
        float, typer.Option("--events-per-user", min=4, max=150, help="Mean events of a user.")
    ] = 30.0,
    dirt: Annotated[
        float, typer.Option("--dirt", min=0, max=0.05, help="Share of rows spoilt in each of several ways.")
    ] = 0.002,
) -> Answer:
    """Make the embedded shop: a planted world with files to run on."""
    from aisle.data.shop import generate_shop

    generate_shop(out, users=users, items=items, seed=seed, events_per_user=events_per_user, dirt=dirt)
    raw, truth = out / "raw", out / "truth"
    shown = [f"shop of {users:,} users and {items:,} items: {raw}", f"planted truth: {truth}"]
    return Answer(
        {"raw": str(raw), "truth": str(truth)}, [*shown, f"next: aisle run --data {raw} --out {out}-run"]
    )


def fetch(
    what: Annotated[str, typer.Argument(help="Such as amazon-2023:All_Beauty.", metavar="WHAT")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the files.")],
) -> Answer:
    """Download a public data set, going on where it stopped."""
    from aisle.data.fetch import fetch

    files = [str(path) for path in fetch(what, out)]
    return Answer({"files": files}, [*files, f"next: aisle run --data {out} --out {out}-run"])
