"""Verbs about live shops, from a plan to its verdict."""

import json
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner, Result

from aisle.cli import app
from aisle.eval.online.simulator import shop_of_policies


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["abtest", *map(str, arguments)])


def answer(*arguments: object) -> dict[str, object]:
    result = call(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    return dict(json.loads(result.stdout))


@pytest.mark.parametrize("verb", ["plan", "assign", "analyse", "offpolicy", "interleave", "prefer"])
def test_help_fits_80_columns(verb: str) -> None:
    result = call(verb, "--help")
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_from_a_plan_to_its_verdict(tmp_path: Path) -> None:
    plan, users, arms, results = (
        tmp_path / name for name in ("p.json", "u.parquet", "a.parquet", "r.parquet")
    )
    planned = answer(
        "plan", "--name", "cards", "--baseline", 0.2, "--lift", 0.5, "--per-day", 500, "--out", plan
    )
    assert planned["effect"] == pytest.approx(0.1)
    total = planned["total_users"]
    assert isinstance(total, int)
    assert planned["days"] == pytest.approx(total / 500)
    pl.DataFrame({"user_id": range(4000)}).write_parquet(users)
    answer("assign", plan, "--users", users, "--out", arms)
    drawn = pl.read_parquet(arms)
    one = answer("assign", plan, "--user", 17)
    assert one["users"] == drawn.filter(pl.col("user_id") == "17").to_dicts()
    bought = pl.int_range(pl.len()) % 10 < pl.when(pl.col("arm") == "new").then(4).otherwise(2)
    drawn.with_columns(value=bought, came=pl.lit(date(2026, 3, 1))).write_parquet(results)
    found = answer("analyse", plan, "--data", results, "--time", "came")
    (comparison,) = found["comparisons"]  # type: ignore[misc]
    assert comparison["outcome"] == "higher"
    assert found["days"][0]["day"] == "2026-03-01"  # type: ignore[index]
    shown = call("analyse", plan, "--data", results).stdout
    assert "higher" in shown
    assert "of control's" in shown


def test_a_plan_from_past_values_and_arms(tmp_path: Path) -> None:
    data = tmp_path / "past.parquet"
    past = [float(number % 7) for number in range(300)]
    pl.DataFrame(
        {"spent": [value + (number % 3) for number, value in enumerate(past)], "past": past}
    ).write_parquet(data)
    options = ("plan", "--name", "x", "--data", data, "--value", "spent", "--arm", "old=2", "--arm", "new")
    plain, spared = (answer(*options, "--effect", 0.5, *more) for more in ((), ("--past", "past")))
    assert plain["users"]["old"] == pytest.approx(2 * plain["users"]["new"], abs=1)  # type: ignore[index]
    assert spared["total_users"] < 0.5 * plain["total_users"]  # type: ignore[operator]
    assert "past values" in call(*options, "--effect", 0.5, "--past", "past").stdout
    found = answer(*options, "--users", "1e4")
    assert found["total_users"] == pytest.approx(10_000, abs=3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--baseline", 0.1), "one of --effect, --lift and --users"),
        (("--baseline", 0.1, "--lift", 0.1, "--effect", 0.1), "one of --effect, --lift and --users"),
        (("--lift", 0.1), "--data, or --baseline"),
        (("--baseline", 5, "--lift", 0.1), "a share between 0 and 1"),
        (("--baseline", 5, "--sd", 0, "--lift", 0.1), "a standard deviation above 0"),
        (("--baseline", 0.1, "--per", "views", "--lift", 0.1), "--data with --per"),
        (("--baseline", 0.1, "--lift", 0.1, "--arm", "a=0"), "arms such as"),
        (("--baseline", 0.1, "--lift", 0.1, "--arm", "a"), "two arms"),
        (("--baseline", 0.1, "--lift", 0.1, "--buckets", "0-10000"), "buckets such as"),
        (("--baseline", 0.1, "--lift", 0.1, "--beside", "nothing.json"), "a planned test"),
        (("--baseline", 0.1, "--lift", 0.1, "--out", "no/folder/p.json"), "a folder that is there"),
        (("--data", "nothing.parquet", "--lift", 0.1), "no file"),
    ],
)
def test_plans_that_cannot_be(options: tuple[object, ...], message: str) -> None:
    result = call("plan", "--name", "x", *options)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_test_beside_another(tmp_path: Path) -> None:
    one = ("plan", "--baseline", 0.1, "--lift", 0.1)
    answer(*one, "--name", "a", "--buckets", "0-4999", "--out", tmp_path / "a.json")
    assert "share no bucket" in call(*one, "--name", "b", "--beside", tmp_path / "a.json").stderr
    answer(*one, "--name", "b", "--beside", tmp_path / "a.json", "--buckets", "5000-9999")


def test_a_log_about_a_policy(tmp_path: Path) -> None:
    log, run = tmp_path / "log.parquet", tmp_path / "run.parquet"
    world = shop_of_policies(slots=1)
    table = world.log(50, 4, seed=0)
    table.write_parquet(log)
    found = answer("offpolicy", "--log", log)
    value = found["estimates"]["dr"]["value"]  # type: ignore[index]
    assert value["low"] < world.value(world.target) < value["high"]
    assert "above the log's" in call("offpolicy", "--log", log).stdout
    table.select("user_id", "item_id", score=-pl.col("item_id")).unique().write_parquet(run)
    greedy = answer("offpolicy", "--log", log, "--run", run, "--clip", 3)
    assert greedy["largest_weight"] == 3


def test_two_rankings_in_one_list(tmp_path: Path) -> None:
    for name, score in (("a", pl.col("item_id")), ("b", -pl.col("item_id"))):
        table = pl.DataFrame({"user_id": [0, 0, 1, 1], "item_id": [1, 2, 1, 2]})
        table.with_columns(score=score).write_parquet(tmp_path / f"{name}.parquet")
    lists = tmp_path / "lists.parquet"
    made = answer(
        "interleave",
        "--a",
        tmp_path / "a.parquet",
        "--b",
        tmp_path / "b.parquet",
        "--name",
        "t",
        "--out",
        lists,
    )
    assert made["users"] == 2
    pl.read_parquet(lists).with_columns(clicked=pl.col("team") == "a").write_parquet(
        tmp_path / "clicks.parquet"
    )
    found = answer("prefer", "--clicks", tmp_path / "clicks.parquet")
    assert (found["a"], found["b"]) == (2, 0)
    assert "a in 2" in call("prefer", "--clicks", tmp_path / "clicks.parquet").stdout


def test_assign_says_what_it_needs(tmp_path: Path) -> None:
    answer("plan", "--baseline", 0.1, "--lift", 0.1, "--name", "a", "--out", tmp_path / "a.json")
    assert "--user ID" in call("assign", tmp_path / "a.json").stderr
    assert "--user ID" in call("assign", tmp_path / "a.json", "--users", "u.parquet").stderr
