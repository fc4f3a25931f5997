"""Verbs about tests in a live shop: planned, users assigned, results analysed."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from aisle.cli.grids import frame_table, grid, span
from aisle.cli.shops import number
from aisle.cli.verb import Answer, verb

if TYPE_CHECKING:
    from aisle.eval.online.analysis import Analysis
    from aisle.eval.online.experiment import Experiment, Metric
    from aisle.eval.online.plan import Place

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Tests in a live shop: plan, assign and analyse them; ask a log about a policy.",
)

Alpha = Annotated[float, typer.Option("--alpha", help="Chance to see a difference where there is none.")]
Looks = Annotated[
    Literal["any", "once"],
    typer.Option("--looks", help="Decide at any time, or once, when all users are there."),
]
Plan = Annotated[Path, typer.Argument(metavar="PLAN", help="File that `aisle abtest plan --out` wrote.")]


@verb(app)
def plan(
    name: Annotated[str, typer.Option("--name", help="Of the test; it also draws the arms.")],
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Parquet with a row for each user of a period as long as the test."),
    ] = None,
    value: Annotated[str, typer.Option("--value", help="Column of the metric.")] = "value",
    per: Annotated[
        str | None, typer.Option("--per", help="Column to divide by, for a ratio of sums.")
    ] = None,
    past: Annotated[
        str | None,
        typer.Option("--past", help="Column of the user's value in the period before (CUPED)."),
    ] = None,
    baseline: Annotated[
        float | None, typer.Option("--baseline", help="Instead of --data: share of users, or mean with --sd.")
    ] = None,
    sd: Annotated[float | None, typer.Option("--sd", help="Standard deviation of a user's value.")] = None,
    effect: Annotated[float | None, typer.Option("--effect", help="Difference to find, absolute.")] = None,
    lift: Annotated[float | None, typer.Option("--lift", help="The same, in parts: 0.05 is 5%.")] = None,
    users: Annotated[
        int | None,
        typer.Option(
            "--users",
            parser=number,
            metavar="N",
            help="Instead: users at hand; gives the difference they show.",
        ),
    ] = None,
    arm: Annotated[
        list[str] | None,
        typer.Option(
            "--arm", metavar="NAME[=SHARE]", help="May be repeated, control first [default: control, new]."
        ),
    ] = None,
    alpha: Alpha = 0.05,
    power: Annotated[float, typer.Option("--power", help="Chance to see the difference.")] = 0.8,
    looks: Looks = "any",
    layer: Annotated[str, typer.Option("--layer", help="Tests of one layer share no user.")] = "shop",
    buckets: Annotated[
        str, typer.Option("--buckets", metavar="FIRST-LAST", help="Of the layer's 10,000 that take part.")
    ] = "0-9999",
    beside: Annotated[
        list[Path] | None,
        typer.Option("--beside", help="Plan of a test that goes on meanwhile; may be repeated."),
    ] = None,
    per_day: Annotated[
        int | None,
        typer.Option("--per-day", parser=number, metavar="N", help="New users a day, for the duration."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="JSON file for the plan.")] = None,
) -> Answer:
    """Plan a test: how many users it takes, or what the users at hand can show."""
    from aisle.data.errors import InputError
    from aisle.eval.online.experiment import Experiment, require_apart
    from aisle.eval.online.plan import Demands, detectable_effect
    from aisle.eval.online.plan import plan as planned

    metric = _metric(data, value, per, past, baseline, sd)
    demands = Demands(_shares(arm or ["control", "new"]), alpha, power, looks)
    given = [option for option in (effect, lift, users) if option is not None]
    if len(given) != 1:
        raise InputError("one of --effect, --lift and --users", f"{len(given)} of them", "say what to find")
    if users is not None:
        effect = detectable_effect(users, metric, demands)
    if lift is not None:
        effect = lift * metric.baseline
    assert effect is not None
    test = planned(name, metric, effect, demands, _place(layer, buckets))
    require_apart([test, *(Experiment.read(path) for path in beside or [])])
    if out is not None:
        test.write(out)
    total = sum(test.users.values())
    share = (test.last_bucket - test.first_bucket + 1) / 10_000
    days = None if per_day is None else total / (per_day * share)
    facts = {**test.model_dump(mode="json"), "total_users": total, "days": days, "out": out and str(out)}
    return Answer(facts, _plan_said(test, total, days, out))


@verb(app)
def assign(
    plans: Annotated[
        list[Path], typer.Argument(metavar="PLAN...", help="Files that `aisle abtest plan --out` wrote.")
    ],
    users: Annotated[Path | None, typer.Option("--users", help="Parquet with user_id; with --out.")] = None,
    user: Annotated[list[str] | None, typer.Option("--user", help="One user's id; may be repeated.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Parquet file for user_id, test, arm.")] = None,
) -> Answer:
    """Say who sees what: always the same for the same plan, with nothing to store."""
    import polars as pl

    from aisle.data.errors import InputError
    from aisle.data.tables import write_table
    from aisle.eval.files import read_parquet
    from aisle.eval.online.experiment import Experiment
    from aisle.eval.online.experiment import assign as assigned

    if (users is None) == (user is None) or (users is None) != (out is None):
        raise InputError("--user ID, or --users FILE with --out FILE", "another choice", "see --help")
    tests = [Experiment.read(path) for path in plans]
    who = pl.DataFrame({"user_id": user}) if users is None else read_parquet(users)
    found = assigned(tests, who)
    counts = found.group_by("test", "arm").len("users").sort("test", "arm")
    facts: dict[str, Any] = {"counts": counts.to_dicts()}
    if out is None:
        facts["users"] = found.to_dicts()
        return Answer(facts, [frame_table(found)])
    write_table(found, out)
    return Answer({**facts, "out": str(out)}, [frame_table(counts), f"who sees what: {out}"])


@verb(app)
def analyse(
    plan: Plan,
    data: Annotated[
        Path, typer.Option("--data", help="Parquet with a row for each user: user_id, the metric, maybe arm.")
    ],
    time: Annotated[
        str | None, typer.Option("--time", help="Column with the time a user came in: shows every day.")
    ] = None,
) -> Answer:
    """Say what a test shows so far, by intervals that hold however often it is asked."""
    from dataclasses import asdict

    from aisle.eval.files import read_parquet
    from aisle.eval.online.analysis import analyse as analysed
    from aisle.eval.online.analysis import running
    from aisle.eval.online.experiment import Experiment

    test, table = Experiment.read(plan), read_parquet(data)
    found = analysed(test, table)
    facts = {**asdict(found), "test": test.name}
    shown: list[Any] = _analysis_said(test, found)
    if time is not None:
        days = running(test, table, time)
        facts["days"] = days.with_columns(day=days["day"].cast(str)).to_dicts()
        shown.append(frame_table(days))
    return Answer(facts, shown)


def _metric(
    data: Path | None, value: str, per: str | None, past: str | None, baseline: float | None, sd: float | None
) -> "Metric":
    """The metric of a table, or of figures that are known.

    Raises:
        InputError: neither or both are given, or figures that cannot be.
    """
    from aisle.data.errors import InputError
    from aisle.eval.files import read_parquet
    from aisle.eval.online.columns import Columns
    from aisle.eval.online.experiment import Metric
    from aisle.eval.online.plan import metric_of_past

    if data is not None and baseline is None and sd is None:
        return metric_of_past(read_parquet(data), Columns(value, per, past))
    if data is not None or baseline is None:
        raise InputError("--data, or --baseline", "both" if data is not None else "neither", "see --help")
    if per is not None or past is not None:
        raise InputError("--data with --per or --past", "--baseline", "their variance has to be measured")
    if not abs(baseline) < float("inf"):
        raise InputError("a finite baseline", f"{baseline:g}", "check --baseline")
    if sd is not None:
        if not 0 < sd < float("inf"):
            raise InputError("a standard deviation above 0", f"{sd:g}", "check --sd")
        return Metric(kind="mean", value=value, baseline=baseline, variance=sd**2)
    if not 0 < baseline < 1:
        raise InputError(
            "a share between 0 and 1", f"{baseline:g}", "give --sd if it is the mean of a number"
        )
    return Metric(kind="proportion", value=value, baseline=baseline, variance=baseline * (1 - baseline))


def _shares(arms: list[str]) -> dict[str, float]:
    """Shares of `NAME[=SHARE]`.

    Raises:
        InputError: a share is no number above 0, or two arms have one name.
    """
    from aisle.data.errors import InputError

    shares: dict[str, float] = {}
    for arm in arms:
        name, _, text = arm.partition("=")
        try:
            share = float(text or 1)
        except ValueError:
            share = 0.0
        if not name or not 0 < share < float("inf") or name in shares:
            raise InputError("arms such as control or control=9, each once", repr(arm), "correct --arm")
        shares[name] = share
    return shares


def _place(layer: str, buckets: str) -> "Place":
    from aisle.data.errors import InputError
    from aisle.eval.online.buckets import BUCKETS
    from aisle.eval.online.plan import Place

    first, _, last = buckets.partition("-")
    if not (first.isdigit() and last.isdigit() and int(first) <= int(last) < BUCKETS):
        raise InputError(f"buckets such as 0-4999, below {BUCKETS}", repr(buckets), "correct --buckets")
    return Place(layer, int(first), int(last))


def _plan_said(test: "Experiment", total: int, days: float | None, out: Path | None) -> list[Any]:
    metric = test.metric
    counts = ", ".join(f"{count:,} {arm}" for arm, count in test.users.items())
    relative = f" ({test.effect / metric.baseline:+.2%})" if metric.baseline > 0 else ""
    said = [
        f"{test.name}: {total:,} users ({counts}) show a difference of {test.effect:+.5g}{relative} in the "
        f"{metric.kind} "
        f"{metric.baseline:.5g} with a chance of {test.power:.0%}, and none that is not there with "
        f"{1 - test.alpha:.0%}",
        "decided "
        + (
            "at any time, by an always-valid interval"
            if test.looks == "any"
            else "once, when they are all there"
        ),
    ]
    if metric.correlation:
        said.append(
            f"past values (correlation {metric.correlation:.2f}) spare {metric.correlation**2:.0%} of the "
            "users"
        )
    if days is not None:
        said.append(f"{days:,.1f} days")
    return [*said, *([f"plan: {out}"] if out else [])]


def _analysis_said(test: "Experiment", found: "Analysis") -> list[Any]:
    level = f"{1 - test.alpha:.0%}"
    rows = [[test.control, f"{found.control_users:,}", f"{found.control_value:.5g}", "", "", "", ""]]
    rows += [
        [
            one.arm,
            f"{one.users:,}",
            f"{one.value:.5g}",
            f"{one.difference.value:+.5g}",
            span(one.always),
            span(one.once),
            f"{one.outcome} (p {one.p_holm:.2g})",
        ]
        for one in found.comparisons
    ]
    columns = [
        "arm",
        "users",
        test.metric.value,
        "difference",
        f"{level} at any look",
        f"{level} at one",
        "outcome",
    ]
    relative = [
        f"{one.arm}: {one.relative[0]:+.2%} of {test.control}'s ({one.relative[1]:+.2%} to "
        f"{one.relative[2]:+.2%}, at one look)"
        for one in found.comparisons
        if one.relative is not None
    ]
    return [grid(columns, rows), *relative, *(f"warning: {one}" for one in found.warnings)]
