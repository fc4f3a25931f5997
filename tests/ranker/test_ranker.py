"""The ranking API: what is documented about odd input, and that all its doors agree."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from aisle import Recommender
from aisle.cli import app
from aisle.data.errors import InputError
from aisle.ranker import Ranker

CHEAP, DEAR = ["i0", "i2", "i4"], ["i1", "i3", "i5"]


@pytest.fixture(scope="module")
def ranker(run: Path) -> Ranker:
    return Ranker.load(run / "ranker")


def ids(ranked: list) -> list[str]:
    return [one.item_id for one in ranked]


def above_mean(ranked: list) -> dict[str, float]:
    mean = np.mean([one.score for one in ranked])
    return {one.item_id: one.score - mean for one in ranked}


def test_a_history_of_cheap_things_asks_for_more(ranker: Ranker) -> None:
    candidates = [f"i{item}" for item in range(10, 50)]
    ranked = ranker.rank(CHEAP, candidates)
    assert sum(int(item[1:]) % 2 == 0 for item in ids(ranked)) >= 9
    assert [one.rank for one in ranked] == list(range(1, 11))
    assert [one.score for one in ranked] == sorted((one.score for one in ranked), reverse=True)
    assert sum(int(item[1:]) % 2 == 1 for item in ids(ranker.rank(DEAR, candidates))) >= 9


def test_records_say_the_same_as_ids(ranker: Ranker) -> None:
    records = [{"item_id": item, "title": "ignored: the catalogue knows it"} for item in ("i10", "i11")]
    history = [{"item_id": item, "kind": "click"} for item in CHEAP]
    assert ranker.rank(history, records) == ranker.rank(CHEAP, ["i10", "i11"])


def test_lists_shorter_than_k_come_whole_and_empty_ones_empty(ranker: Ranker) -> None:
    assert len(ranker.rank(CHEAP, ["i10", "i11"], k=50)) == 2
    assert len(ranker.rank(CHEAP, ["i10", "i11"], k=None)) == 2
    assert ranker.rank(CHEAP, []) == []
    with pytest.raises(InputError, match="at least 1"):
        ranker.rank(CHEAP, ["i10"], k=0)


def test_an_item_twice_counts_once(ranker: Ranker) -> None:
    assert ranker.rank(CHEAP, ["i10", "i11", "i10"]) == ranker.rank(CHEAP, ["i10", "i11"])


def test_without_a_history_there_still_is_an_order(ranker: Ranker) -> None:
    assert sorted(ids(ranker.rank([], ["i10", "i11", "i12"]))) == ["i10", "i11", "i12"]


def test_unknown_items_are_ranked_by_what_is_said_of_them(ranker: Ranker) -> None:
    about = {"item_id": "new", "title": "thing number 100"}
    cheap, dear = (ranker.rank(CHEAP, [{**about, "price": price}]) for price in (10.0, 100.0))
    assert cheap[0].score > dear[0].score
    assert sorted(ids(ranker.rank(CHEAP, [about, "i11", "unheard of"]))) == ["i11", "new", "unheard of"]
    assert ids(ranker.rank([*CHEAP, "unheard of"], ["i11", "i10"]))[0] == "i10"


def test_entries_without_an_id_and_columns_of_a_wrong_type_are_refused(ranker: Ranker) -> None:
    with pytest.raises(InputError, match="item_id"):
        ranker.rank(CHEAP, [{"title": "no id"}])
    with pytest.raises(InputError, match="canonical form"):
        ranker.rank(CHEAP, [{"item_id": "new", "price": "cheap"}])


def test_many_users_are_ranked_like_one(ranker: Ranker, tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "user_id": ["b", "a", "none"],
            "history": [CHEAP, [*DEAR, "i7"], []],
            "candidates": [["i10", "i11", "i12"], ["i10", "i13", "i10"], []],
        }
    )
    many = ranker.rank_many(frame)
    assert many["user_id"].to_list() == ["b", "b", "b", "a", "a"]
    for user, history, candidates in frame.head(2).iter_rows():
        one = ranker.rank(history, candidates, k=None)
        rows = many.filter(pl.col("user_id") == user)
        assert rows["item_id"].to_list() == ids(one)
        assert rows["score"].to_list() == pytest.approx([ranked.score for ranked in one], abs=1e-5)
    assert ranker.rank_many(frame.lazy(), k=1)["rank"].to_list() == [1, 1]


def test_files_are_ranked_like_frames(ranker: Ranker, run: Path, tmp_path: Path) -> None:
    frame = pl.DataFrame({"user_id": ["b"], "history": [CHEAP], "candidates": [["i10", "i11", "i12"]]})
    frame.write_parquet(tmp_path / "lists.parquet")
    asked = ["rank", "--candidates", tmp_path / "lists.parquet", "--ranker", run / "ranker"]
    done = CliRunner().invoke(app, [str(one) for one in [*asked, "--out", tmp_path / "ranked.parquet"]])
    assert done.exit_code == 0, done.output
    assert pl.read_parquet(tmp_path / "ranked.parquet").equals(ranker.rank_many(frame))
    wrong = CliRunner().invoke(app, [str(one) for one in [*asked[:3], "--out", tmp_path / "ranked.parquet"]])
    assert wrong.exit_code == 2


def test_frames_with_other_columns_are_refused(ranker: Ranker) -> None:
    with pytest.raises(InputError, match="candidates"):
        ranker.rank_many(pl.DataFrame({"user_id": ["a"], "history": [["i1"]]}))
    twice = pl.DataFrame({"user_id": ["a", "a"], "history": [["i1"]] * 2, "candidates": [["i2"]] * 2})
    with pytest.raises(InputError, match="twice"):
        ranker.rank_many(twice)


def test_threads_may_share_a_ranker(ranker: Ranker) -> None:
    lists = [[f"i{item}" for item in range(start, start + 12)] for start in range(8)]
    alone = [ranker.rank(CHEAP, one) for one in lists]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda one: ranker.rank(CHEAP, one), lists)) == alone


def test_reasons_are_what_the_score_loses_without_them(ranker: Ranker) -> None:
    candidates = [f"i{item}" for item in range(8, 30)]
    best = ranker.rank(CHEAP, candidates, k=1, explain=True)[0]
    assert "price" in [reason.what for reason in best.reasons if reason.kind == "features"]
    assert all(reason.lift > 0 for reason in best.reasons)
    before = above_mean(ranker.rank(CHEAP, candidates, k=None))
    for reason in best.reasons:
        if reason.kind == "history":
            after = above_mean(
                ranker.rank([item for item in CHEAP if item != reason.what], candidates, k=None)
            )
            assert before[best.item_id] - after[best.item_id] == pytest.approx(reason.lift, abs=1e-5)


def test_taking_the_stated_reason_away_costs_more_than_taking_another_event(ranker: Ranker) -> None:
    rng = np.random.default_rng(0)
    candidates, stated, others = [f"i{item}" for item in range(20, 60)], [], []
    for _ in range(6):
        history = [f"i{item}" for item in rng.permutation(20)[:5]]
        after = {}
        for past in history:
            after[past] = above_mean(ranker.rank([one for one in history if one != past], candidates, k=None))
        before = above_mean(ranker.rank(history, candidates, k=None))
        for one in ranker.rank(history, candidates, k=10, explain=True):
            losses = {past: before[one.item_id] - scores[one.item_id] for past, scores in after.items()}
            for reason in [reason.what for reason in one.reasons if reason.kind == "history"][:1]:
                stated.append(losses[reason])
                others.append(losses[rng.choice([past for past in history if past != reason])])
    assert len(stated) >= 10
    assert np.mean(stated) > np.mean(others) + 0.05


def test_the_recommender_retrieves_and_ranks(run: Path) -> None:
    shop = Recommender.load(run)
    assert shop.ranker is not None
    found = shop.recommend(CHEAP, k=5)
    assert sum(int(one.item_id[1:]) % 2 == 0 for one in found) >= 4
    assert not set(ids(found)) & set(CHEAP)
    retrieved = Recommender.open(run).recommend(CHEAP, k=5)
    assert [one.rank for one in retrieved] == [1, 2, 3, 4, 5]
    with pytest.raises(InputError, match="aisle ranker"):
        Recommender.open(run).recommend(CHEAP, explain=True)
