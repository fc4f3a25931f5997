"""A test planned: the metric's past, and the users that the wanted effect takes."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.optimize import brentq

from aisle.data.errors import InputError
from aisle.eval.online.buckets import BUCKETS
from aisle.eval.online.columns import Columns, numbers
from aisle.eval.online.design import users_for_means, users_for_proportions, whole
from aisle.eval.online.experiment import Experiment, Kind, Looks, Metric
from aisle.eval.online.sequential import users_ratio
from aisle.eval.online.values import ratio_values, without_past


def metric_of_past(past: pl.DataFrame, columns: Columns) -> Metric:
    """Kind, value and variance of a metric, from a period as long as the test will be: one row a user.

    A ratio has a denominator, a proportion has values 0 and 1 alone and no past ones; the rest are means.

    Raises:
        InputError: a column cannot be used, or all values are equal.
    """
    found = numbers(past, columns)
    values = found.value if found.per is None else ratio_values(found.value, found.per)
    kind: Kind = "mean"
    correlation = 0.0
    if found.per is not None:
        kind = "ratio"
    elif found.past is None and np.isin(values, (0, 1)).all():
        kind = "proportion"
    variance = float(values.var(ddof=1)) if len(values) > 1 else 0.0
    if variance == 0:
        raise InputError(
            "users who differ", f"{len(values):,} equal values in {columns.value!r}", "check the column"
        )
    if found.past is not None:
        if found.past.std() > 0:
            correlation = float(np.corrcoef(values, found.past)[0, 1])
        variance = float(without_past([values], [found.past])[0].var(ddof=1))
    return Metric(
        kind=kind,
        value=columns.value,
        per=columns.per,
        past=columns.past,
        baseline=float(values.mean()),
        variance=variance,
        correlation=correlation,
    )


@dataclass(frozen=True)
class Place:
    """Where a test lives: its layer, and the buckets of it that take part."""

    layer: str = "shop"
    first_bucket: int = 0
    last_bucket: int = BUCKETS - 1


@dataclass(frozen=True)
class Demands:
    """What a test must be able to do.

    Attributes:
        arms: shares of the users by arm, control first.
        alpha: chance to see a difference where there is none, of the whole test.
        power: chance to see the wanted one, of each comparison.
        looks: "any": the analysis may be asked at any time; "once": only when all users are there.
    """

    arms: Mapping[str, float]
    alpha: float = 0.05
    power: float = 0.8
    looks: Looks = "any"

    def control_users(self, metric: Metric, effect: float) -> float:
        """Users of control for every comparison with it to show `effect`, not rounded.

        With several arms each comparison is planned at alpha / comparisons (Bonferroni; Holm's correction,
        which the analysis uses, needs no more). A test that may be looked at any time takes
        :func:`aisle.eval.online.sequential.users_ratio` as many.

        Raises:
            InputError: fewer than two arms, or what :mod:`aisle.eval.online.design` raises.
        """
        if len(self.arms) < 2:
            raise InputError(
                "two arms or more", ", ".join(self.arms) or "none", "name control first, then the others"
            )
        control, *others = self.arms.values()
        level, needed = self.alpha / len(others), 0.0
        for share in others:
            ratio = share / control if control > 0 else 0.0
            if metric.kind == "proportion":
                base = metric.baseline
                users = users_for_proportions(base, base + effect, alpha=level, power=self.power, ratio=ratio)
            else:
                users = users_for_means(effect, metric.variance, alpha=level, power=self.power, ratio=ratio)
            needed = max(needed, users)
        return needed * (users_ratio(level, self.power) if self.looks == "any" else 1.0)


def plan(
    name: str, metric: Metric, effect: float, demands: Demands, place: Place | None = None
) -> Experiment:
    """The test that finds an absolute difference of `effect`, with the users that it takes.

    Raises:
        InputError: an argument that cannot be.
    """
    place = place or Place()
    control = demands.control_users(metric, effect) / next(iter(demands.arms.values()))
    return Experiment(
        name=name,
        layer=place.layer,
        first_bucket=place.first_bucket,
        last_bucket=place.last_bucket,
        arms=dict(demands.arms),
        metric=metric,
        effect=effect,
        alpha=demands.alpha,
        power=demands.power,
        looks=demands.looks,
        users={arm: whole(control * share) for arm, share in demands.arms.items()},
    )


def detectable_effect(users: int, metric: Metric, demands: Demands) -> float:
    """The smallest absolute rise that `users` of all arms together show.

    Raises:
        InputError: an argument that cannot be, or no rise is large enough.
    """
    control = users * next(iter(demands.arms.values())) / sum(demands.arms.values())
    most = (1 - metric.baseline) * (1 - 1e-9) if metric.kind == "proportion" else 1e3 * metric.variance**0.5
    least = 1e-5 * metric.variance**0.5
    if control < 2 or demands.control_users(metric, most) > control:
        raise InputError("users enough to show any rise", f"{users:,}", "let more users take part")
    excess = lambda log: np.log(demands.control_users(metric, np.exp(log)) / control)  # noqa: E731
    return float(np.exp(brentq(excess, np.log(least), np.log(most), rtol=1e-9)))
