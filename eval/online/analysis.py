"""What a test says so far."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from scipy import stats

from aisle.data.errors import InputError
from aisle.eval.online.columns import WHAT, Columns, numbers
from aisle.eval.online.estimate import Estimate, Floats
from aisle.eval.online.experiment import Experiment, arms_of
from aisle.eval.online.sequential import FIRST_LOOK, always_valid, always_valid_p
from aisle.eval.online.values import difference, lift, ratio_values, without_past
from aisle.eval.runs import id_kind, require_columns
from aisle.eval.uncertainty import holm

MISMATCH = 0.001
"""p-value below which the arms do not have the users that were drawn for them.

Source: Fabijan et al. 2019, "Diagnosing Sample Ratio Mismatch in Online Controlled Experiments".
"""

Outcome = Literal["higher", "lower", "undecided", "too early"]


@dataclass(frozen=True)
class Comparison:
    """An arm against control.

    Attributes:
        arm: its name.
        users, value: of this arm.
        difference: absolute, from control.
        once: interval that holds for one look, planned beforehand; with several arms all of them together
            (Bonferroni).
        always: likewise, interval that holds at all looks together; None before `FIRST_LOOK` users in each
            arm.
        relative: difference in parts of control's value, and its interval for one look; None where that value
            is not above 0.
        p: of the kind that decides: of one look, or of any (1 before the first one).
        p_holm: the same after Holm's correction over all arms.
        outcome: `higher` or `lower` where `p_holm` is below alpha; `too early` before the first look, or
            before the planned users are there in a test that is decided once.
    """

    arm: str
    users: int
    value: float
    difference: Estimate
    once: tuple[float, float]
    always: tuple[float, float] | None
    relative: tuple[float, float, float] | None
    p: float
    p_holm: float
    outcome: Outcome


@dataclass(frozen=True)
class Analysis:
    """A test, looked at.

    Attributes:
        control_users, control_value: of the control arm.
        comparisons: all other arms, in the order of the plan.
        outside: users of the table who do not take part.
        newcomers: users without a past value.
        ratio_p: of the hypothesis that users were drawn in the planned shares (chi-square).
        warnings: what speaks against trusting the comparison.
    """

    control_users: int
    control_value: float
    comparisons: list[Comparison]
    outside: int
    newcomers: int
    ratio_p: float
    warnings: list[str]


def analyse(experiment: Experiment, table: pl.DataFrame) -> Analysis:
    """What the users so far say.

    Args:
        experiment: as planned.
        table: one row a user: user_id, the columns of the metric, and optionally arm, what the user really
            saw; without it the arm that the plan draws. Everybody who could have seen a difference belongs in
            it, those who did nothing with 0.

    Raises:
        InputError: a column cannot be used, a user is there twice, an arm is unknown, or has fewer than two
            users.
    """
    require_columns(table, "user_id", what=WHAT)
    id_kind(table, "user_id", WHAT)
    if table["user_id"].is_duplicated().any():
        again = table.filter(pl.col("user_id").is_duplicated())["user_id"]
        raise InputError(
            "one row a user",
            f"{again.n_unique():,} users in several, such as {again[0]!r}",
            "sum up the rows of a user",
        )
    drawn = arms_of(experiment, table["user_id"])
    warnings = []
    arm = drawn
    if "arm" in table.columns:
        arm = table["arm"].cast(pl.String)
        strange = arm.drop_nulls().filter(~arm.drop_nulls().is_in(list(experiment.arms)))
        if len(strange):
            raise InputError(
                f"arms {', '.join(experiment.arms)}", f"{strange[0]!r}", "check the plan and the column `arm`"
            )
        other = int((arm.is_not_null() & (arm.ne_missing(drawn))).sum())
        if other:
            warnings.append(f"{other:,} users saw another arm than the plan draws for them")
    metric = experiment.metric
    found = numbers(table, Columns(metric.value, metric.per, metric.past))
    if metric.kind == "proportion" and not np.isin(found.value, (0, 1)).all():
        raise InputError(f"{metric.value} of 0 or 1", "other numbers", "plan a mean instead of a proportion")
    masks = {name: (arm == name).fill_null(False).to_numpy() for name in experiment.arms}
    few = [name for name, mask in masks.items() if mask.sum() < 2]
    if few:
        raise InputError(
            "two users or more in every arm", f"fewer in {few[0]!r}", "wait, or check user ids and name"
        )
    raw = {
        name: found.value[mask] if found.per is None else ratio_values(found.value[mask], found.per[mask])
        for name, mask in masks.items()
    }
    values = raw
    if found.past is not None:
        adjusted = without_past(list(raw.values()), [found.past[mask] for mask in masks.values()])
        values = dict(zip(raw, adjusted, strict=True))
    users = {name: int(mask.sum()) for name, mask in masks.items()}
    ratio_p = _ratio_p(experiment, users)
    if ratio_p < MISMATCH:
        counts = ", ".join(f"{name} {count:,}" for name, count in users.items())
        warnings.append(
            f"the arms do not have the users that were drawn for them ({counts}; p = {ratio_p:.1g}): "
            "somebody is lost on the "
            "way, and the comparison cannot be trusted"
        )
    return Analysis(
        control_users=users[experiment.control],
        control_value=float(values[experiment.control].mean()),
        comparisons=_comparisons(experiment, values),
        outside=int(arm.is_null().sum()),
        newcomers=found.newcomers,
        ratio_p=ratio_p,
        warnings=warnings,
    )


def running(experiment: Experiment, table: pl.DataFrame, time: str) -> pl.DataFrame:
    """How the always-valid interval narrowed: for each day and arm, what was known by its end.

    Args:
        experiment: as planned.
        table: as for :func:`analyse`.
        time: column with the moment at which a user came in, a date or time.

    Returns:
        day, arm, users (of both arms), difference, low, high. The interval is the part that all intervals so
        far share, which holds at all looks, too; an empty one (low above high) says that users differ from
        day to day.

    Raises:
        InputError: as :func:`analyse`; or the column is no date or time.
    """
    require_columns(table, time, what=WHAT)
    if not table[time].dtype.is_temporal() or table[time].null_count():
        raise InputError(f"{time} as a date or time in every row", f"{table[time].dtype}", "write it as one")
    days = table[time].dt.date()
    rows, bounds = [], {arm: (-float("inf"), float("inf")) for arm in experiment.arms}
    for day in days.unique().sort():
        so_far = table.filter(days <= day)
        try:
            found = analyse(experiment, so_far)
        except InputError:
            if day == days.max():
                raise
            continue  # too few users yet
        for one in found.comparisons:
            if one.always is None:
                continue
            low, high = bounds[one.arm]
            bounds[one.arm] = low, high = max(low, one.always[0]), min(high, one.always[1])
            rows.append((day, one.arm, found.control_users + one.users, one.difference.value, low, high))
    columns = {"day": pl.Date, "arm": pl.String, "users": pl.Int64}
    columns |= dict.fromkeys(("difference", "low", "high"), pl.Float64)
    return pl.DataFrame(rows, schema=columns, orient="row")


def _comparisons(experiment: Experiment, values: dict[str, Floats]) -> list[Comparison]:
    control = values[experiment.control]
    others = [name for name in values if name != experiment.control]
    differences = [difference(control, values[name]) for name in others]
    ready = [_ready(experiment, name, {one: len(arm) for one, arm in values.items()}) for name in others]
    p_values = np.array(
        [
            found.p
            if experiment.looks == "once"
            else always_valid_p(found, experiment.mixture(name))
            if early
            else 1.0
            for name, found, early in zip(others, differences, ready, strict=True)
        ]
    )
    corrected = holm(p_values)
    level = experiment.alpha / len(others)
    comparisons = []
    for at, (name, found) in enumerate(zip(others, differences, strict=True)):
        enough = min(len(control), len(values[name])) >= FIRST_LOOK
        relative = lift(control, values[name])
        outcome: Outcome = "undecided" if ready[at] else "too early"
        if ready[at] and corrected[at] < experiment.alpha:
            outcome = "higher" if found.value > 0 else "lower"
        comparisons.append(
            Comparison(
                arm=name,
                users=len(values[name]),
                value=float(values[name].mean()),
                difference=found,
                once=found.interval(1 - level),
                always=always_valid(found, experiment.mixture(name), level) if enough else None,
                relative=(relative.value, *relative.interval(1 - level)) if relative else None,
                p=float(p_values[at]),
                p_holm=float(corrected[at]),
                outcome=outcome,
            )
        )
    return comparisons


def _ready(experiment: Experiment, arm: str, users: dict[str, int]) -> bool:
    """Whether there are users enough to decide: those of the plan, or those of the first look."""
    if experiment.looks == "once":
        return all(users[one] >= experiment.users[one] for one in (experiment.control, arm))
    return min(users[experiment.control], users[arm]) >= FIRST_LOOK


def _ratio_p(experiment: Experiment, users: dict[str, int]) -> float:
    total, shares = sum(users.values()), np.array(list(experiment.arms.values()))
    return float(stats.chisquare(list(users.values()), total * shares / shares.sum()).pvalue)
