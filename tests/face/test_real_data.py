"""The whole job on a small real shop: every row accounted for, every user tested, better than chance."""

import json
from pathlib import Path

import polars as pl
import pytest

from aisle import load_settings, pipeline

SETTINGS = (
    "retriever.max_rounds=4",
    'evaluate.baselines.names=["popularity", "item_knn", "encoder"]',
    "evaluate.permutations=500",
)


@pytest.fixture(scope="module")
def out(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("giftcards")
    pipeline.run(shared_data / "amazon-giftcards-2018", folder, load_settings(None, SETTINGS))
    return folder


def test_no_row_is_lost(out: Path) -> None:
    counts = json.loads((out / "prepare" / "counts.json").read_text())
    assert counts["events"]["rows_in"] == 2972
    assert counts["items"]["rows_in"] == counts["catalogue"] == 1547
    for table in ("items", "events"):
        assert counts[table]["rows_in"] == counts[table]["kept"] + sum(counts[table]["rejected"].values())


def test_candidates_are_new_to_their_users_and_of_the_catalogue(out: Path) -> None:
    run = pl.read_parquet(out / "candidates" / "candidates.parquet")
    past = pl.concat(
        pl.read_parquet(out / "prepare" / "split" / f"{part}.parquet") for part in ("train", "validation")
    )
    assert run["user_id"].n_unique() == 458
    assert run.join(past, on=["user_id", "item_id"]).is_empty()
    assert run.join(pl.read_parquet(out / "prepare" / "items.parquet"), on="item_id", how="anti").is_empty()


def test_the_report_tells_models_from_chance(out: Path) -> None:
    report = json.loads((out / "evaluate" / "report.json").read_text())
    assert report["protocol"]["users"] == 92
    assert report["protocol"]["split"]["strategy"] == "time"
    chance = 10 / 1547
    for model in ("two_tower", "item_knn", "popularity"):
        assert report["models"][model]["recall@10"]["low"] > 5 * chance
