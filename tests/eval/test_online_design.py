"""Sample sizes, differences and always-valid intervals: equal to statsmodels, scipy and R."""

from math import ceil, log, sqrt

import numpy as np
import polars as pl
import pytest
import statsmodels.api as sm
from scipy import optimize, stats
from statsmodels.stats.power import tt_ind_solve_power
from statsmodels.stats.proportion import samplesize_proportions_2indep_onetail

from aisle.data.errors import InputError
from aisle.eval.online.columns import Columns
from aisle.eval.online.design import power_for_means, users_for_means, users_for_proportions, whole
from aisle.eval.online.estimate import Estimate, mean_of_units
from aisle.eval.online.experiment import Metric
from aisle.eval.online.plan import Demands, detectable_effect, metric_of_past, plan
from aisle.eval.online.sequential import (
    always_valid,
    always_valid_p,
    always_valid_radius,
    mixture_for,
    users_ratio,
)
from aisle.eval.online.simulator import shop_of_visitors
from aisle.eval.online.values import difference, lift, ratio_values, without_past


def test_means_as_in_r() -> None:
    assert users_for_means(1.0, 1.0, alpha=0.05, power=0.9) == pytest.approx(22.02110, abs=1e-5)


@pytest.mark.parametrize("effect", [2.0, 0.5, 0.05, 0.002])
@pytest.mark.parametrize("ratio", [1.0, 0.25, 3.0])
def test_means_as_in_statsmodels(effect: float, ratio: float) -> None:
    found = users_for_means(effect * 3, 9.0, alpha=0.01, power=0.8, ratio=ratio)
    assert found == pytest.approx(tt_ind_solve_power(effect, alpha=0.01, power=0.8, ratio=ratio), rel=1e-4)
    assert power_for_means(found, effect * 3, 9.0, alpha=0.01, ratio=ratio) == pytest.approx(0.8, abs=1e-4)


@pytest.mark.parametrize("shares", [(0.5, 0.75), (0.04, 0.041), (0.3, 0.2)])
@pytest.mark.parametrize("ratio", [1.0, 0.25, 3.0])
def test_proportions_as_in_statsmodels(shares: tuple[float, float], ratio: float) -> None:
    control, other = shares
    # there the control is called 2, and the size returned is that of the other group
    theirs = samplesize_proportions_2indep_onetail(other - control, control, 0.9, ratio=1 / ratio)
    found = users_for_proportions(control, other, alpha=0.05, power=0.9, ratio=ratio)
    assert found == pytest.approx(theirs / ratio, rel=1e-9)


def test_proportions_as_in_r() -> None:
    assert users_for_proportions(0.5, 0.75, alpha=0.05, power=0.9) == pytest.approx(76.7, abs=0.1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"effect": 0.0}, "an effect other than 0"),
        ({"effect": float("nan")}, "an effect other than 0"),
        ({"effect": 1e-9}, "at most 1e\\+12 users"),
        ({"variance": 0.0}, "a variance above 0"),
        ({"alpha": 0.0}, "alpha between"),
        ({"alpha": 0.5}, "alpha between"),
        ({"power": 1.0}, "power from"),
        ({"power": 0.2}, "power from"),
        ({"ratio": 0.0}, "arms that get users"),
    ],
)
def test_plans_that_cannot_be(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        users_for_means(**{"effect": 1.0, "variance": 1.0, "alpha": 0.05, "power": 0.8, **arguments})


def test_shares_that_cannot_be() -> None:
    with pytest.raises(InputError, match="between 0 and 1"):
        users_for_proportions(0.9, 1.1, alpha=0.05, power=0.8)
    with pytest.raises(InputError, match="users show"):
        users_for_proportions(0.5, 0.5 + 1e-8, alpha=0.05, power=0.8)


def test_a_difference_is_the_t_test_of_welch() -> None:
    rng = np.random.default_rng(0)
    control, other = rng.exponential(2, 40), rng.normal(3, 5, 70)
    theirs = stats.ttest_ind(other, control, equal_var=False)
    found = difference(control, other)
    assert found.p == pytest.approx(theirs.pvalue)
    assert found.interval(0.9) == pytest.approx(tuple(theirs.confidence_interval(0.9)))


def test_past_values_are_a_regression() -> None:
    rng = np.random.default_rng(1)
    past = [rng.exponential(2, n) for n in (300, 500)]
    values = [2 * x + rng.normal(size=len(x)) + at for at, x in enumerate(past)]
    found = difference(*without_past(values, past))
    arm = np.repeat([0.0, 1.0], [300, 500])
    fit = sm.OLS(np.concatenate(values), np.column_stack([np.ones(800), arm, np.concatenate(past)])).fit(
        cov_type="HC2"
    )
    assert found.value == pytest.approx(fit.params[1], rel=0.02)
    assert found.error == pytest.approx(fit.bse[1], rel=0.02)
    raw = difference(*values)
    within = [np.concatenate([part - part.mean() for part in arms]) for arms in (past, values)]
    correlation = np.corrcoef(*within)[0, 1]
    assert (found.error / raw.error) ** 2 == pytest.approx(1 - correlation**2, rel=0.1)
    assert without_past(values, [np.ones(300), np.ones(500)]) is values


def test_a_ratio_by_the_delta_method() -> None:
    clicks, views = np.array([1.0, 0, 3, 2]), np.array([2.0, 1, 5, 2])
    values = ratio_values(clicks, views)
    assert values.mean() == pytest.approx(6 / 10)
    covariance = np.cov(clicks, views)
    gradient = np.array([1 / views.mean(), -clicks.mean() / views.mean() ** 2])
    assert values.var(ddof=1) == pytest.approx(gradient @ covariance @ gradient)
    with pytest.raises(InputError, match="denominators"):
        ratio_values(clicks, np.zeros(4))


def test_a_lift_by_the_delta_method() -> None:
    control, other = np.array([1.0, 2, 3]), np.array([2.0, 4, 9])
    found = lift(control, other)
    assert found is not None
    below, above = (np.array([arm.mean(), arm.var(ddof=1) / 3]) for arm in (control, other))
    assert found.value == pytest.approx(5 / 2 - 1)
    assert found.error == pytest.approx(sqrt(above[1] / 2**2 + 5**2 * below[1] / 2**4))
    assert lift(np.array([0.0, 0, 0]), other) is None


def test_an_estimate_of_units() -> None:
    found = mean_of_units(np.array([3.0, 1.0]), np.array([2.0, 2.0]))
    assert found.value == 1.0
    assert found.error == pytest.approx(sqrt((1 + 1) * 2 / 1) / 4)
    assert Estimate(0.0, 0.0).p == 1.0
    assert Estimate(1.0, 0.0).p == 0.0
    assert Estimate(1.96, 1.0).p == pytest.approx(0.05, abs=1e-3)


def test_the_interval_is_that_of_the_confidence_sequence() -> None:
    variance, n, rho2, alpha = 4.0, 700, 0.01, 0.05
    theirs = sqrt(2 * variance * (n * rho2 + 1) / (n**2 * rho2) * log(sqrt(n * rho2 + 1) / alpha))
    low, high = always_valid(Estimate(0.0, sqrt(variance / n)), rho2 * variance, alpha)
    assert high == pytest.approx(theirs)
    assert low == -high


def test_the_p_value_is_the_smallest_alpha_that_leaves_out_zero() -> None:
    effect = Estimate(1.0, 0.25)
    mixture = 0.5
    edge = optimize.brentq(lambda alpha: always_valid(effect, mixture, alpha)[0], 1e-9, 0.9)
    assert always_valid_p(effect, mixture) == pytest.approx(edge)
    assert always_valid_p(Estimate(0.0, 0.25), mixture) == 1.0
    assert always_valid_p(Estimate(0.0, 0.0), mixture) == 1.0
    assert always_valid_p(Estimate(2.0, 0.0), mixture) == 0.0


@pytest.mark.parametrize("alpha", [0.2, 0.05, 0.001])
def test_the_mixture_makes_the_interval_narrowest_where_it_should(alpha: float) -> None:
    best = mixture_for(2.0, alpha)
    widths = always_valid_radius(np.asarray(2.0), best * np.array([0.97, 1.0, 1.03]), alpha)
    assert widths[1] < min(widths[0], widths[2])


def test_the_planned_power_is_there() -> None:
    alpha, power, rng = 0.05, 0.8, np.random.default_rng(0)
    ratio = users_ratio(alpha, power)
    # one look with z-values: an effect of z_alpha + z_power standard errors has this power in a fixed test
    effect = float(stats.norm.ppf(1 - alpha / 2) + stats.norm.ppf(power))
    error = 1 / sqrt(ratio)
    seen = effect + error * rng.normal(size=40_000)
    radius = always_valid_radius(np.asarray(error**2), mixture_for(error**2, alpha), alpha)
    assert np.mean(seen > radius) == pytest.approx(power, abs=4 * sqrt(power * (1 - power) / 40_000))
    assert 1.5 < ratio < 2.5


def test_a_plan_rounds_up_and_shares_out() -> None:
    metric = Metric(kind="mean", baseline=10.0, variance=400.0)
    found = plan("t", metric, 1.0, Demands({"control": 2, "new": 1}, looks="once"))
    needed = users_for_means(1.0, 400.0, alpha=0.05, power=0.8, ratio=0.5)
    assert found.users == {"control": ceil(needed), "new": ceil(needed / 2)}
    three = plan("t", metric, 1.0, Demands({"control": 1, "new": 1, "newer": 1}, looks="once"))
    assert three.users["newer"] == ceil(users_for_means(1.0, 400.0, alpha=0.025, power=0.8))
    watched = plan("t", metric, 1.0, Demands({"control": 2, "new": 1}))
    assert watched.users["control"] == ceil(needed * users_ratio(0.05, 0.8))
    assert whole(3.0000000001) == 3


@pytest.mark.parametrize("kind", ["mean", "proportion"])
def test_the_detectable_effect_is_the_inverse(kind: str) -> None:
    metric = Metric.model_validate({"kind": kind, "baseline": 0.1, "variance": 0.09})
    demands = Demands({"control": 1, "new": 1})
    effect = detectable_effect(20_000, metric, demands)
    assert sum(plan("t", metric, effect, demands).users.values()) == pytest.approx(20_000, abs=2)
    with pytest.raises(InputError, match="users enough"):
        detectable_effect(3, metric, demands)
    with pytest.raises(InputError, match="two arms"):
        plan("t", metric, effect, Demands({"control": 1}))


def test_a_metric_from_past_values() -> None:
    world, rng = shop_of_visitors(), np.random.default_rng(0)
    crowd = world.crowd(4000, rng)
    before, now = world.spending(crowd, rng), world.spending(crowd, rng)
    clicks, views = world.browsing(crowd, rng)
    table = pl.DataFrame(
        {
            "before": before,
            "spent": now,
            "clicks": clicks,
            "views": views,
            "bought": world.conversions(crowd, rng),
        }
    )
    mean = metric_of_past(table, Columns("spent"))
    assert (mean.kind, mean.baseline, mean.variance) == ("mean", now.mean(), pytest.approx(now.var(ddof=1)))
    spared = metric_of_past(table, Columns("spent", past="before"))
    assert spared.variance == pytest.approx(mean.variance * (1 - spared.correlation**2))
    assert metric_of_past(table, Columns("bought")).kind == "proportion"
    ratio = metric_of_past(table, Columns("clicks", per="views"))
    assert (ratio.kind, ratio.baseline) == ("ratio", pytest.approx(clicks.sum() / views.sum()))
    newcomers = table.with_columns(before=pl.when(pl.int_range(pl.len()) > 99).then("before"))
    assert metric_of_past(newcomers, Columns("spent", past="before")).correlation > 0


@pytest.mark.parametrize(
    ("table", "columns", "message"),
    [
        ({"v": [1.0, 1.0]}, Columns("v"), "users who differ"),
        ({"v": [1.0]}, Columns("v"), "users who differ"),
        ({"v": []}, Columns("v"), "with rows"),
        ({"v": [1.0, None]}, Columns("v"), "a v of every user"),
        ({"v": [1.0, float("inf")]}, Columns("v"), "finite numbers"),
        ({"v": ["1", "2"]}, Columns("v"), "v as numbers"),
        ({"v": [1.0, 2.0]}, Columns("w"), "a column 'w'"),
        ({"v": [1.0, 2.0], "n": [1, -1]}, Columns("v", per="n"), "n of 0 or more"),
        ({"v": [1.0, 2.0], "x": [None, None]}, Columns("v", past="x"), "past values"),
    ],
)
def test_tables_that_cannot_be_used(table: dict[str, list[float]], columns: Columns, message: str) -> None:
    with pytest.raises(InputError, match=message):
        metric_of_past(pl.DataFrame(table), columns)
