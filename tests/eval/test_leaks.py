"""Every planted leak is reported by the check that is for it, and clean data by none."""

import json
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from leak_plants import PLANTED, copied_events
from leak_world import START, clean, names, random_lists, run_of
from typer.testing import CliRunner

from aisle.cli import app
from aisle.data.prepare import prepare
from aisle.data.prepared import BEFORE, Prepared
from aisle.data.settings import DataSettings, SplitSettings
from aisle.data.text import render_items
from aisle.eval.evaluate import evaluate
from aisle.eval.leaks import CHECKS, Material, check_leaks
from aisle.eval.settings import EvaluateSettings


@pytest.mark.parametrize("strategy", ["leave_one_out", "time", "users"])
@pytest.mark.parametrize("seed", range(3))
def test_clean_worlds_have_no_findings(seed, strategy):
    found = check_leaks(clean(seed, strategy).material(corpus=["a text of the past"]))
    assert found.findings == []
    left_out = {"next event": "columns of train beside those of events"}
    if strategy == "time":
        left_out["split shape"] = "a split by leave_one_out or by users"
    assert found.left_out == left_out
    assert {"lists of runs", *(check.name for check in CHECKS)} == {*found.checked, *found.left_out}


@pytest.mark.parametrize("strategy", ["leave_one_out", "time"])
@pytest.mark.parametrize("seed", range(3))
def test_features_of_the_past_are_no_leak(seed, strategy):
    """Counts, means, dates and neighbours as far as train goes, running ones, too; and plain noise."""
    world = clean(seed, strategy)
    known = pl.concat([world.parts["train"], world.parts["validation"]]).sort("user_id", "timestamp")
    noise = pl.Series(np.random.default_rng(seed).integers(18, 80, len(known)))
    told = [pl.lit(noise).alias("age")]
    for of in ("user_id", "item_id"):
        last = pl.col("timestamp").max().over(of)
        told += [
            pl.len().over(of).alias(f"events of {of}"),
            pl.col("rating").mean().over(of).alias(f"stars of {of}"),
            last.alias(f"last of {of}"),
            (START + timedelta(days=400) - last).dt.total_days().alias(f"days since the last of {of}"),
            pl.int_range(pl.len()).over(of).alias(f"earlier events of {of}"),
            (pl.int_range(pl.len()).over(of) + 1).alias(f"events of {of} until now"),
            pl.col("timestamp").shift().over(of).alias(f"previous of {of}"),
            (pl.col("timestamp") - pl.col("timestamp").shift().over(of)).dt.total_days().alias(f"gap {of}"),
        ]
    told.append(pl.col("item_id").shift().over("user_id").alias("previous item"))
    told.append(pl.col("item_id").shift(-1).over("user_id").alias("next item within train"))
    known = known.with_columns(told)
    users = known.select("user_id", *(name for name in known.columns if name.endswith("of user_id")))
    users = users.unique("user_id", keep="last")
    material = Material.of_files(
        known, world.parts["test"], strategy=strategy, items=world.items, users=users
    )
    found = check_leaks(material)
    assert found.findings == []
    assert {"future features", "next event"} <= set(found.checked)


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_every_planted_leak_is_reported(plant):
    found = check_leaks(plant())
    assert PLANTED[plant] in names(found)
    for finding in found.findings:
        assert finding.evidence
        assert finding.what.endswith(".")


@pytest.mark.parametrize("strategy", ["time", "leave_one_out", "ratio"])
def test_real_data_is_clean(shared_data: Path, tmp_path: Path, strategy):
    settings = DataSettings(split=SplitSettings(strategy=strategy))
    prepare(shared_data / "amazon-giftcards-2018", tmp_path, settings)
    shop = Prepared(tmp_path)

    def texts() -> pl.DataFrame:
        told = render_items(shop.items, settings.text, shop.reviews(*BEFORE["test"]))
        return pl.DataFrame({"item_id": shop.item_ids.values, "text": told})

    parts = {part: shop.events(part) for part in ("train", "validation", "test")}
    found = check_leaks(Material(parts, strategy, shop.target_kinds, items=shop.items, texts=texts))
    assert found.findings == []
    assert "training text" in found.checked
    everything = Material(
        parts,
        strategy,
        shop.target_kinds,
        corpus=shop.events("test").collect()["text"].drop_nulls().to_list(),
    )
    assert names(check_leaks(everything)) == {"training text"}


def test_the_report_holds_what_was_found():
    world = clean()
    truth = world.parts["test"].select("user_id", "item_id")
    runs = {"mine": run_of(random_lists(world, 20))}
    quick = EvaluateSettings(k=(10,), metrics=("recall", "ndcg"), resamples=100, permutations=100)
    report = evaluate(truth, runs, material=world.material(), settings=quick)
    assert report.leaks is not None
    assert report.leaks.findings == []
    assert "known pairs" in report.leaks.checked
    leaky = evaluate(truth, runs, material=copied_events(), settings=quick)
    assert leaky.leaks is not None
    assert [finding.check for finding in leaky.leaks.findings] == ["time order", "duplicates"]
    assert any("lie in train, too" in warning for warning in leaky.warnings)
    assert evaluate(truth, runs, settings=quick).leaks is None


def test_files_are_checked_by_one_command(tmp_path: Path):
    world = clean()
    known = pl.concat([world.parts["train"], world.parts["validation"]])
    tables = {
        "train": pl.concat([known, world.parts["test"].head(9)]),
        "truth": world.parts["test"],
        "items": world.items,
        "mine": run_of(random_lists(world, 20)),
    }
    for name, table in tables.items():
        table.write_parquet(tmp_path / f"{name}.parquet")
    files = {name: tmp_path / f"{name}.parquet" for name in tables}
    asked = ["evaluate", "--run", files["mine"], "--truth", files["truth"], "--items", files["items"]]
    asked += ["--train", files["train"], "--split", "leave_one_out", "--json"]
    answer = CliRunner().invoke(app, [str(word) for word in asked])
    assert answer.exit_code == 0, answer.output
    shown = CliRunner().invoke(app, [str(word) for word in asked if word != "--json"])
    assert "warning: Leak (duplicates)" in shown.output
    page = [*(word for word in asked if word != "--json"), "--out", tmp_path / "report"]
    shown = CliRunner().invoke(app, [str(word) for word in page])
    assert "warning: Leak (duplicates)" in shown.output
    report = json.loads(answer.stdout)
    assert "duplicates" in {finding["check"] for finding in report["leaks"]["findings"]}
    assert report["protocol"]["split"] == "leave_one_out"
    world.parts["train"].select("user_id", age=40).unique().write_parquet(tmp_path / "users.parquet")
    answer = CliRunner().invoke(app, [str(word) for word in (*asked, "--users", tmp_path / "users.parquet")])
    assert answer.exit_code == 0, answer.output
    alone = [*asked[:5], "--users", tmp_path / "users.parquet"]
    refused = CliRunner().invoke(app, [str(word) for word in alone])
    assert refused.exit_code == 2
    assert "--train" in refused.stderr
    numbered = tables["train"].with_columns(user_id=pl.int_range(pl.len()))
    numbered.write_parquet(tmp_path / "train.parquet")
    refused = CliRunner().invoke(app, [str(word) for word in asked])
    assert refused.exit_code == 2
    assert "whole numbers in train" in refused.stderr
    refused = CliRunner().invoke(app, ["evaluate", "--out", str(tmp_path), "--train", str(files["train"])])
    assert refused.exit_code == 2
    assert "--train without --run" in refused.stderr
