"""Off-policy estimates: logs checked, estimators against arithmetic, intervals against a known truth."""

from dataclasses import replace
from math import sqrt
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from aisle.data.errors import InputError
from aisle.eval.online.logs import check_log, read_log
from aisle.eval.online.offpolicy import (
    OffPolicy,
    decisions_of,
    effective_size,
    estimated,
    off_policy,
)
from aisle.eval.online.rewards import expected_rewards
from aisle.eval.online.simulator import shop_of_policies
from aisle.eval.online.targets import greedy


def log_of(**changes: object) -> pl.DataFrame:
    """Three requests of two users, two candidates each, one slot."""
    columns: dict[str, object] = {
        "request_id": ["r1", "r1", "r2", "r2", "r3", "r3"],
        "user_id": ["u", "u", "u", "u", "v", "v"],
        "item_id": ["a", "b", "a", "b", "a", "b"],
        "propensity": [0.5, 0.5, 0.8, 0.2, 0.5, 0.5],
        "shown": [True, False, False, True, True, False],
        "reward": [1.0, None, None, 2.0, 0.0, None],
        "target": [0.25, 0.75, 0.6, 0.4, 1.0, 0.0],
        "expected": [0.5, 1.0, 0.5, 1.0, 0.5, 1.0],
    }
    return pl.DataFrame({**columns, **changes})


def test_estimates_are_their_formulas() -> None:
    found = off_policy(check_log(log_of()))
    weights = [0.25 / 0.5, 0.4 / 0.2, 1.0 / 0.5]
    rewards = [1.0, 2.0, 0.0]
    total = sum(w * r for w, r in zip(weights, rewards, strict=True))
    assert found.estimates["ips"].value.value == pytest.approx(total / 3)
    assert found.estimates["snips"].value.value == pytest.approx(total / sum(weights))
    baseline = [0.25 * 0.5 + 0.75 * 1, 0.6 * 0.5 + 0.4 * 1, 0.5]
    corrections = [0.5 * (1 - 0.5), 2 * (2 - 1), 2 * (0 - 0.5)]
    assert found.estimates["dr"].value.value == pytest.approx((sum(baseline) + sum(corrections)) / 3)
    assert found.logged.value == pytest.approx((1 + 2 + 0) / 3)
    assert found.effective == pytest.approx(sum(weights) ** 2 / sum(w * w for w in weights))
    assert (found.requests, found.decisions, found.users) == (3, 3, 2)
    assert found.estimates["ips"].lift.value == pytest.approx(total / 3 - 1)
    assert found.largest_weight == 2.0


def test_the_error_counts_a_user_once() -> None:
    found = off_policy(check_log(log_of())).logged
    deviations = [1 + 2 - 2 * 1.0, 0 - 1 * 1.0]  # sum of rewards minus requests x mean, of u and v
    assert found.error == pytest.approx(sqrt(sum(d * d for d in deviations) * 2 / 1) / 3)
    alone = off_policy(check_log(log_of().drop("user_id"))).logged
    assert alone.error == pytest.approx(np.std([1.0, 2.0, 0.0], ddof=1) / sqrt(3))


def test_slots_add_up() -> None:
    slots = pl.concat([log_of(slot=[1] * 6), log_of(slot=[2] * 6)])
    one, two = (off_policy(check_log(log)) for log in (log_of(), slots))
    for name in ("ips", "snips", "dr"):
        assert two.estimates[name].value.value == pytest.approx(2 * one.estimates[name].value.value)
        assert two.estimates[name].value.error == pytest.approx(2 * one.estimates[name].value.error)


def test_the_same_policy_is_worth_what_the_log_earned() -> None:
    log = check_log(log_of(target=log_of()["propensity"]))
    found = off_policy(log)
    for name in ("ips", "snips"):
        assert found.estimates[name].value.value == pytest.approx(found.logged.value)
        assert found.estimates[name].lift.value == pytest.approx(0)
        assert found.estimates[name].lift.error == pytest.approx(0)
    assert found.effective == pytest.approx(3)


def test_snips_moves_with_the_rewards() -> None:
    shifted = log_of(reward=log_of()["reward"] + 10)
    found, moved = (off_policy(check_log(log)).estimates["snips"].value for log in (log_of(), shifted))
    assert moved.value == pytest.approx(found.value + 10)
    assert moved.error == pytest.approx(found.error)


def test_expectations_come_from_other_users_alone() -> None:
    slots, items = np.zeros(4, np.int64), np.array([0, 0, 0, 1])
    shown, rewards, folds = np.ones(4), np.array([1.0, 3.0, 5.0, 7.0]), np.array([0, 1, 2, 2])
    found = expected_rewards(slots, items, shown, rewards, folds, prior=2.0)
    others = (3 + 5 + 7) / 3  # mean of the slot without fold 0
    assert found[0] == pytest.approx((3 + 5 + 2 * others) / (2 + 2))
    assert found[3] == pytest.approx((0 + 2 * (1 + 3) / 2) / (0 + 2))  # item 1 was never shown to the others


def test_arrays_and_tables_say_the_same() -> None:
    world = shop_of_policies()
    table = estimated(decisions_of(check_log(world.log(8, 6, seed=3)), seed=3))
    arrays = estimated(world.decisions(8, 6, seed=3))
    for name, one in table.estimates.items():
        assert one.value.value == pytest.approx(arrays.estimates[name].value.value)
        assert one.value.error == pytest.approx(arrays.estimates[name].value.error)


@pytest.fixture(scope="module")
def studied() -> tuple[float, list[OffPolicy]]:
    """The true value of a policy, and 200 logs that estimate it."""
    world = shop_of_policies()
    return world.value(world.target), [estimated(world.decisions(300, 2, seed=seed)) for seed in range(200)]


@pytest.mark.parametrize("name", ["ips", "snips", "dr"])
def test_intervals_hold_the_truth(studied: tuple[float, list[OffPolicy]], name: str) -> None:
    truth, found = studied
    values = [one.estimates[name].value for one in found]
    inside = [low <= truth <= high for low, high in (value.interval(0.95) for value in values)]
    assert 0.90 <= np.mean(inside) <= 0.99  # 3 standard errors of 200 draws; docs/experiments.md has 500
    spread = np.std([value.value for value in values])
    assert np.mean([value.value for value in values]) == pytest.approx(truth, abs=4 * spread / sqrt(200))
    assert np.mean([value.error for value in values]) == pytest.approx(spread, rel=0.2)


def test_doubly_robust_needs_only_one_of_two_to_be_right() -> None:
    world = shop_of_policies(types=1, slots=1, spread=0.0)
    truth, chances = world.value(world.target), world.chances[0, 0]
    log = check_log(world.log(20_000, 1, seed=0))
    of_item = log["item_id"].cast(pl.Int64).to_numpy()
    wild = log.with_columns(expected=pl.Series(5.0 * (of_item % 2)))
    found = off_policy(wild).estimates["dr"].value
    assert abs(found.value - truth) < 4 * found.error
    flat = log.with_columns(
        expected=pl.Series(chances[of_item]), propensity=pl.lit(1 / world.chances.shape[-1])
    )
    wrong = off_policy(flat)
    assert abs(wrong.estimates["dr"].value.value - truth) < 4 * wrong.estimates["dr"].value.error
    assert abs(wrong.estimates["ips"].value.value - truth) > 4 * wrong.estimates["ips"].value.error


def test_good_expectations_narrow_the_interval() -> None:
    world = shop_of_policies(types=1, slots=1, spread=0.0)
    log = check_log(world.log(2000, 1, seed=0)).with_columns(reward=pl.lit(0.0))
    of_item = pl.Series(world.chances[0, 0])[log["item_id"].cast(pl.Int64)]
    log = log.with_columns(reward=pl.when("shown").then(of_item), expected=of_item)
    found = off_policy(log).estimates
    assert found["dr"].value.error < 1e-9
    assert found["ips"].value.error > 1e-3


def test_wrong_propensities_are_noticed() -> None:
    decisions = shop_of_policies().decisions(500, 2, seed=0)
    assert estimated(decisions).warnings == []
    wrong = estimated(replace(decisions, weights=decisions.weights * 1.5)).warnings
    assert any("propensities or targets are wrong" in one for one in wrong)


def test_few_effective_decisions_are_noticed() -> None:
    assert "only" in off_policy(check_log(log_of())).warnings[0]
    assert effective_size(np.array([1.0, 0, 0])) == 1


def test_cut_weights_say_so() -> None:
    found = off_policy(check_log(log_of()), clip=1.0)
    assert (found.clipped, found.largest_weight) == (2, 1.0)
    assert any("2 weights were cut" in one for one in found.warnings)


def test_a_log_of_shown_rows_alone() -> None:
    shown = log_of().filter("shown").drop("shown", "expected")
    whole, alone = off_policy(check_log(log_of())), off_policy(check_log(shown))
    assert set(alone.estimates) == {"ips", "snips"}
    assert alone.estimates["snips"] == whole.estimates["snips"]
    assert any("candidates that were not shown" in one for one in alone.warnings)


def test_a_run_as_a_policy() -> None:
    run = pl.DataFrame(
        {"user_id": ["u", "u", "v", "v"], "item_id": ["a", "b", "b", "a"], "score": [1, 2, 5, 4]}
    )
    target = greedy(check_log(log_of()), run)
    best = target.filter(pl.col("target") == 1)
    assert best.select("request_id", "item_id").rows() == [("r1", "b"), ("r2", "b"), ("r3", "b")]
    two = pl.concat([log_of(slot=[1] * 6), log_of(slot=[2] * 6)])
    second = greedy(check_log(two), run).filter((pl.col("slot") == 2) & (pl.col("target") == 1))
    assert second["item_id"].to_list() == ["a", "a", "a"]


def test_a_run_that_scores_too_little() -> None:
    run = pl.DataFrame({"user_id": ["u"], "item_id": ["a"], "score": [1.0]})
    with pytest.raises(InputError, match="too few for 1 of 3 slots, such as request 'r3'"):
        greedy(check_log(log_of()), run)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"propensity": [0.5, 0.5, 0.8, 0.2, 0.5, 0.2]}, "sums to 1"),
        ({"propensity": [0.5, 0.5, 0.8, 0.2, 50.0, 50.0]}, "from 0 to 1"),
        ({"propensity": [0.0, 1.0, 0.8, 0.2, 0.5, 0.5]}, "above 0 of what was shown"),
        ({"propensity": [0.5, 0.5, 1.0, 0.0, 0.5, 0.5]}, "above 0 of what was shown"),
        ({"propensity": [0.5, None, 0.8, 0.2, 0.5, 0.5]}, "a propensity in every row"),
        ({"propensity": [float("nan"), 0.5, 0.8, 0.2, 0.5, 0.5]}, "from 0 to 1"),
        ({"propensity": ["x"] * 6}, "propensity as numbers"),
        ({"shown": [True, True, False, True, True, False]}, "one candidate shown"),
        ({"shown": [False, False, False, True, True, False]}, "one candidate shown"),
        ({"shown": [1, 0, 0, 1, 1, 0]}, "shown as true or false"),
        ({"reward": [None, None, None, 2.0, 0.0, None]}, "a finite reward"),
        ({"reward": [float("inf"), None, None, 2.0, 0.0, None]}, "a finite reward"),
        ({"expected": [float("nan"), 1.0, 0.5, 1.0, 0.5, 1.0]}, "finite expected"),
        ({"user_id": ["u", "v", "u", "u", "v", "v"]}, "one user of a request"),
        ({"item_id": ["a", "a", "a", "b", "a", "b"]}, "each candidate once"),
        ({"item_id": ["a", None, "a", "b", "a", "b"]}, "item_id in every row"),
        ({"slot": [0] * 6}, "slots from 1"),
        ({"slot": [1.0] * 6}, "slot as whole numbers"),
        ({"target": [0.25, 0.25, 0.6, 0.4, 1.0, 0.0]}, "a target of each request"),
        ({"target": [-0.25, 1.25, 0.6, 0.4, 1.0, 0.0]}, "target from 0 to 1"),
    ],
)
def test_logs_that_cannot_be_used(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_log(log_of(**changes))


def test_a_policy_beyond_what_the_log_shows() -> None:
    unseen = log_of(propensity=[1.0, 0.0, 0.8, 0.2, 0.5, 0.5])
    with pytest.raises(InputError, match="whatever the other policy would show"):
        check_log(unseen)


def test_a_log_without_a_policy_or_anything_in_common() -> None:
    with pytest.raises(InputError, match="column `target`"):
        off_policy(check_log(log_of().drop("target")))
    apart = log_of(target=[0.0, 1.0, 1.0, 0.0, 0.0, 1.0])
    with pytest.raises(InputError, match="no decision in common"):
        off_policy(check_log(apart))
    with pytest.raises(InputError, match="largest weight above 0"):
        off_policy(check_log(log_of()), clip=0.0)
    with pytest.raises(InputError, match="two independent units"):
        off_policy(check_log(log_of().filter(pl.col("user_id") == "v")))
    with pytest.raises(InputError, match="with rows"):
        check_log(log_of().clear())


def test_a_log_from_a_file(tmp_path: Path) -> None:
    log_of().write_parquet(tmp_path / "log.parquet")
    assert read_log(tmp_path / "log.parquet").equals(check_log(log_of()))
    (tmp_path / "log.txt").write_text("not parquet")
    with pytest.raises(InputError, match="a Parquet file"):
        read_log(tmp_path / "log.txt")
