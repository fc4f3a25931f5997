"""SASRec as a baseline: tuned like the others, trained on ids alone, ranked over everything unseen."""

from pathlib import Path

import polars as pl
import pytest
from worlds import circle_shop

from aisle.baselines import Bench, make_baselines
from aisle.data.settings import TextSettings
from aisle.retriever.sasrec import sasrec_settings
from aisle.retriever.settings import RetrieverSettings
from aisle.runs import Runs
from aisle.settings import Settings

OURS = RetrieverSettings(max_rounds=4, round_steps=15, batch_size=32, max_history=7, warmup_steps=5)


def test_it_knows_ids_alone_and_keeps_our_schedule() -> None:
    found = sasrec_settings(OURS, {"dim": 64, "temperature": 0.1})
    assert (found.towers, found.inputs, found.reads_text) == (("ids",), (), False)
    assert (found.objective.kind, found.objective.temperature) == ("sampled_softmax", 0.1)
    assert (found.max_history, found.max_rounds, found.batch_size, found.dim) == (7, 4, 32, 64)


def test_it_finds_what_comes_next(tmp_path: Path) -> None:
    shop = circle_shop(tmp_path / "prepare", users=100)
    truth = shop.truth("test")
    runs = Runs(tmp_path / "runs", truth.select("user_id").unique())
    baselines = {"names": ["sasrec"], "trials": 2, "sasrec": {"dim": [32], "learning_rate": [0.02, 1e-6]}}
    baselines["sasrec"] |= {"layers": [1], "dropout": [0.1], "temperature": [0.1], "weight_decay": [0.01]}
    settings = Settings.model_validate({"evaluate": {"baselines": baselines}})
    bench = Bench(shop, TextSettings(), OURS.model_dump(), tmp_path / "model", tmp_path / "work")
    make_baselines(runs, bench, settings, part="test", k=10)
    run = runs["sasrec"]
    assert set(run["user_id"]) == set(truth["user_id"])
    assert run.join(shop.past("test").collect(), on=["user_id", "item_id"], how="semi").is_empty()
    first = run.filter(pl.col("rank") == 1).join(truth, on=["user_id", "item_id"], how="semi")
    assert len(first) > 0.8 * len(truth)
    about = runs.settings()["sasrec"]
    assert isinstance(about, dict)
    assert (about["learning_rate"], about["trials"], about["points tried"]) == (0.02, 2, 2)
    assert about["validation ndcg@10"] == pytest.approx(1, abs=0.2)
