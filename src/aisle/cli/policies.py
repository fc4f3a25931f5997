"""Verbs about policies: what a log of one says of another, and two rankings in one list."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aisle.cli.grids import grid, span
from aisle.cli.verb import Answer

if TYPE_CHECKING:
    from aisle.eval.online.estimate import Estimate


def offpolicy(
    log: Annotated[Path, typer.Option("--log", help="Parquet: a candidate log with propensities.")],
    run: Annotated[
        Path | None,
        typer.Option("--run", help="Run whose best candidates would be shown [default: column target]."),
    ] = None,
    clip: Annotated[float | None, typer.Option("--clip", help="Largest weight of a decision.")] = None,
    confidence: Annotated[
        float, typer.Option("--confidence", min=0.5, max=0.999, help="Of intervals.")
    ] = 0.95,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the parts of users for expectations.")] = 0,
) -> Answer:
    """Estimate from a log what another policy would have earned (IPS, SNIPS, DR)."""
    from dataclasses import asdict

    from aisle.eval.files import read_run
    from aisle.eval.online.logs import read_log
    from aisle.eval.online.offpolicy import off_policy
    from aisle.eval.online.targets import greedy

    read = read_log(log)
    found = off_policy(read if run is None else greedy(read, read_run(run)), clip=clip, seed=seed)
    facts = asdict(found)
    rows = [["policy of the log", *_figures(found.logged, confidence), ""]]
    for name, one in found.estimates.items():
        for part, estimate in (("value", one.value), ("lift", one.lift)):
            low, high = estimate.interval(confidence)
            facts["estimates"][name][part] |= {"low": low, "high": high}
        low, high = one.lift.interval(confidence)
        rows.append([name, *_figures(one.value, confidence), f"{one.lift.value:+.5g} ({span((low, high))})"])
    said = (
        f"{found.requests:,} requests of {found.users:,} users, {found.decisions:,} decisions worth "
        f"{found.effective:,.0f} of equal weight; largest weight {found.largest_weight:.3g}"
    )
    columns = ["reward per request", "value", f"{confidence:.0%} interval", "above the log's"]
    return Answer(facts, [grid(columns, rows), said, *(f"warning: {one}" for one in found.warnings)])


def interleave(
    a: Annotated[Path, typer.Option("--a", help="Run of one ranking (Parquet or TREC).")],
    b: Annotated[Path, typer.Option("--b", help="Run of the other.")],
    salt: Annotated[str, typer.Option("--name", help="Of the test; it draws who picks first.")],
    out: Annotated[Path, typer.Option("--out", help="Parquet for user_id, rank, item_id, team.")],
    k: Annotated[int, typer.Option("--k", help="Items a list.")] = 10,
) -> Answer:
    """Put two rankings into one list a user (team draft), to see which is clicked."""
    from aisle.data.tables import write_table
    from aisle.eval.files import read_run
    from aisle.eval.online.interleaving import team_draft

    lists = team_draft(read_run(a), read_run(b), k=k, salt=salt)
    write_table(lists, out)
    users = lists["user_id"].n_unique()
    return Answer({"users": users, "rows": len(lists), "out": str(out)}, [f"{users:,} lists: {out}"])


def prefer(
    clicks: Annotated[
        Path, typer.Option("--clicks", help="Parquet: shown lists with user_id, team, clicked.")
    ],
    confidence: Annotated[
        float, typer.Option("--confidence", min=0.5, max=0.999, help="Of intervals.")
    ] = 0.95,
) -> Answer:
    """Say which of two interleaved rankings the clicks prefer."""
    from dataclasses import asdict

    from aisle.eval.files import read_parquet
    from aisle.eval.online.interleaving import preference

    found = preference(read_parquet(clicks))
    low, high = found.share.interval(confidence)
    said = [
        f"{found.lists:,} lists: a in {found.a:,}, b in {found.b:,}, neither in {found.ties:,}",
        f"share of a above one half: {found.share.value:+.4f} ({low:+.4f} to {high:+.4f}), sign test p = "
        f"{found.p:.3g}",
    ]
    return Answer({**asdict(found), "low": low, "high": high}, [*said])


def _figures(estimate: "Estimate", confidence: float) -> list[str]:
    low, high = estimate.interval(confidence)
    return [f"{estimate.value:.5g}", f"{low:.5g} to {high:.5g}"]
