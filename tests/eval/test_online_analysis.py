"""Tests analysed: effects that were planted, users who are lost, and error rates under peeking."""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats

from aisle.data.errors import InputError
from aisle.eval.online.analysis import analyse, running
from aisle.eval.online.buckets import BUCKETS
from aisle.eval.online.experiment import Experiment, Metric, arms_of
from aisle.eval.online.plan import Demands, Place, plan
from aisle.eval.online.sequential import FIRST_LOOK, always_valid_radius
from aisle.eval.online.simulator import shop_of_visitors
from aisle.eval.online.values import difference

WORLD = shop_of_visitors()
METRIC = Metric(kind="mean", value="spent", baseline=7.0, variance=900.0)


def planned(looks: str = "any", **arms: float) -> Experiment:
    demands = Demands(arms or {"control": 1, "new": 1}, looks="any" if looks == "any" else "once")
    return plan("cards", METRIC, 2.0, demands)


def spent(test: Experiment, users: int, effects: dict[str, float], seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    ids = pl.Series("user_id", range(users))
    crowd = WORLD.crowd(users, rng)
    past, value = WORLD.spending(crowd, rng), WORLD.spending(crowd, rng)
    drawn = arms_of(test, ids).to_numpy()
    for arm, effect in effects.items():
        value = value + np.where(drawn == arm, effect, 0.0)
    return pl.DataFrame({"user_id": ids, "spent": value, "past": past})


def test_a_planted_effect_is_found_and_none_where_there_is_none() -> None:
    test = planned(control=2, new=1, same=1)
    found = analyse(test, spent(test, 20_000, {"new": 3.0}))
    new, same = found.comparisons
    assert (new.outcome, same.outcome) == ("higher", "undecided")
    assert new.always is not None
    assert new.always[0] < new.once[0] < new.once[1] < new.always[1]
    assert new.always[0] < 3.0 < new.always[1]
    assert new.p_holm == pytest.approx(min(2 * new.p, 1))
    assert new.relative is not None
    assert new.relative[0] == pytest.approx(new.difference.value / found.control_value)
    assert found.control_users + new.users + same.users == 20_000
    assert found.warnings == []
    lower = analyse(test, spent(test, 20_000, {"new": -3.0})).comparisons[0]
    assert lower.outcome == "lower"


def test_an_arm_of_the_table_goes_before_the_drawn_one() -> None:
    test = planned()
    table = spent(test, 4000, {"new": 3.0})
    drawn = analyse(test, table)
    written = analyse(test, table.with_columns(arm=arms_of(test, table["user_id"])))
    assert written == drawn
    swapped = table.with_columns(arm=pl.Series(["control", "new"] * 2000))
    assert "saw another arm" in analyse(test, swapped).warnings[0]


def test_users_outside_do_not_count() -> None:
    test = plan("half", METRIC, 2.0, Demands({"control": 1, "new": 1}), Place("shop", 0, BUCKETS // 2 - 1))
    found = analyse(test, spent(test, 3000, {}))
    assert found.outside == 3000 - found.control_users - found.comparisons[0].users
    assert abs(found.outside - 1500) < 4 * (3000 / 4) ** 0.5


def test_lost_users_are_noticed() -> None:
    test = planned()
    table = spent(test, 4000, {})
    arm = arms_of(test, table["user_id"])
    lost = table.filter((arm == "control") | (pl.Series(range(4000)) % 5 > 0))
    found = analyse(test, lost)
    assert "do not have the users" in found.warnings[0]
    users = [found.control_users, found.comparisons[0].users]
    assert found.ratio_p == pytest.approx(stats.chisquare(users).pvalue)


def test_one_look_waits_for_the_planned_users() -> None:
    test = planned("once")
    early = analyse(test, spent(test, sum(test.users.values()) // 2, {"new": 9.0})).comparisons[0]
    assert early.outcome == "too early"
    late = analyse(test, spent(test, int(1.1 * sum(test.users.values())), {"new": 9.0})).comparisons[0]
    assert late.outcome == "higher"
    assert late.p == pytest.approx(late.difference.p)


def test_the_first_look_needs_some_users() -> None:
    test = planned()
    found = analyse(test, spent(test, FIRST_LOOK, {"new": 99.0})).comparisons[0]
    assert (found.outcome, found.always, found.p) == ("too early", None, 1.0)


def test_past_values_narrow_the_interval() -> None:
    test = planned()
    table = spent(test, 6000, {"new": 2.0})
    with_past = test.model_copy(update={"metric": METRIC.model_copy(update={"past": "past"})})
    plain, spared = (analyse(one, table).comparisons[0].difference for one in (test, with_past))
    assert spared.error < 0.95 * plain.error
    newcomers = table.with_columns(past=pl.when(pl.int_range(pl.len()) > 9).then("past"))
    assert analyse(with_past, newcomers).newcomers == 10


def test_every_day_of_a_running_test() -> None:
    test = planned()
    table = spent(test, 6000, {"new": 3.0})
    start = date(2026, 3, 1)
    table = table.with_columns(came=pl.Series([start + timedelta(days=row // 600) for row in range(6000)]))
    found = running(test, table, "came")
    assert found["day"].to_list() == [start + timedelta(days=day) for day in range(1, 10)]
    assert found["low"].is_sorted()
    assert found["high"].is_sorted(descending=True)
    assert found["users"].to_list() == [1200 + 600 * day for day in range(9)]
    last = analyse(test, table).comparisons[0]
    assert last.always is not None
    assert found["low"][-1] >= last.always[0]
    with pytest.raises(InputError, match="came as a date or time"):
        running(test, table.with_columns(came=pl.lit("1 March")), "came")


def test_a_plan_is_read_as_it_was_written(tmp_path: Path) -> None:
    test = planned(control=9, new=1)
    test.write(tmp_path / "plan.json")
    assert Experiment.read(tmp_path / "plan.json") == test
    (tmp_path / "plan.json").write_text('{"name": "x"}')
    with pytest.raises(InputError, match="arms: Field required"):
        Experiment.read(tmp_path / "plan.json")
    with pytest.raises(InputError, match="no file"):
        Experiment.read(tmp_path / "no.json")
    with pytest.raises(InputError, match="folder"):
        test.write(tmp_path / "no" / "plan.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (pl.col("spent").replace(0.0, None), "a spent of every user"),
        (pl.lit(1).alias("user_id"), "one row a user"),
        (pl.lit("old").alias("arm"), "'old'"),
        (pl.lit("new").alias("arm"), "two users or more in every arm"),
        (pl.lit("much").alias("spent"), "spent as numbers"),
    ],
)
def test_tables_that_cannot_be_used(change: pl.Expr, message: str) -> None:
    test = planned()
    with pytest.raises(InputError, match=message):
        analyse(test, spent(test, 50, {}).with_columns(change))


def test_a_proportion_takes_zeros_and_ones() -> None:
    metric = Metric(kind="proportion", value="spent", baseline=0.1, variance=0.09)
    test = plan("share", metric, 0.02, Demands({"control": 1, "new": 1}))
    with pytest.raises(InputError, match="0 or 1"):
        analyse(test, spent(test, 50, {}))


def test_differences_hold_the_truth() -> None:
    """The fast form of benchmarks/online_studies.py: 200 tests of an effect that is known."""
    inside = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        arms = [WORLD.conversions(WORLD.crowd(1500, rng), rng, effect) for effect in (0.0, 0.02)]
        low, high = difference(arms[0], arms[1]).interval(0.95)
        inside.append(low <= 0.02 <= high)
    assert 0.90 <= np.mean(inside) <= 0.99


def test_peeking_does_not_raise_the_error() -> None:
    """500 tests without an effect, looked at 40 times; intervals for one look err far more often."""
    rng, looks, step = np.random.default_rng(0), 40, 250
    bought = rng.random((500, 2, looks, step)) < 0.1
    users = step * np.arange(1, looks + 1)
    means = bought.sum(axis=3).cumsum(axis=2) / users
    variances = (means * (1 - means) / (users - 1)).sum(axis=1)
    effect = means[:, 1] - means[:, 0]
    test = plan(
        "t", Metric(kind="proportion", baseline=0.1, variance=0.09), 0.02, Demands({"control": 1, "new": 1})
    )
    radius = always_valid_radius(variances, test.mixture("new"), 0.05)
    ready = users >= FIRST_LOOK
    peeked = ((np.abs(effect) > radius) & ready).any(axis=1).mean()
    naive = ((np.abs(effect) > 1.96 * np.sqrt(variances)) & ready).any(axis=1).mean()
    assert peeked <= 0.05
    assert naive > 0.15
