"""The ranking API: what is documented about odd input, and that all its doors agree."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from aisle import Recommender
from aisle.cli import app
from aisle.data.errors import InputError
from aisle.data.prepared import Prepared
from aisle.data.visitors import last_moment
from aisle.ranker import Ranker
from aisle.ranker.features import group_of
from aisle.ranker.ranking import histories_of
from aisle.ranker.reviewers import Reviewers
from aisle.ranker.sentiment.settings import StandingSettings

CHEAP, DEAR = ["i0", "i2", "i4"], ["i1", "i3", "i5"]


@pytest.fixture(scope="module")
def ranker(run: Path) -> Ranker:
    return Ranker.load(run / "ranker")


def ids(ranked: list) -> list[str]:
    return [one.item_id for one in ranked]


def above_mean(ranked: list) -> dict[str, float]:
    mean = np.mean([one.score for one in ranked])
    return {one.item_id: one.score - mean for one in ranked}


def alike(ranker: Ranker) -> float:
    """How many of the first ten cost as the history does, mean over histories of both kinds; 5 by chance."""
    rng = np.random.default_rng(0)
    found = []
    for user in range(12):
        history = [f"i{2 * item + user % 2}" for item in rng.permutation(30)[:3]]
        candidates = [f"i{item}" for item in range(60) if f"i{item}" not in history]
        found += [int(item[1:]) % 2 == user % 2 for item in ids(ranker.rank(history, candidates))]
    return 10 * float(np.mean(found))


def test_a_history_of_cheap_things_asks_for_more(ranker: Ranker) -> None:
    candidates = [f"i{item}" for item in range(10, 50)]
    ranked = ranker.rank(CHEAP, candidates)
    assert sum(int(item[1:]) % 2 == 0 for item in ids(ranked)) >= 9
    assert [one.rank for one in ranked] == list(range(1, 11))
    assert [one.score for one in ranked] == sorted((one.score for one in ranked), reverse=True)
    assert sum(int(item[1:]) % 2 == 1 for item in ids(ranker.rank(DEAR, candidates))) >= 9
    assert alike(ranker) >= 9


def test_records_say_the_same_as_ids(ranker: Ranker) -> None:
    records = [{"item_id": item, "title": "ignored: the catalogue knows it"} for item in ("i10", "i11")]
    kind = ranker.retriever.prepared.target_kinds[0]
    history = [{"item_id": item, "kind": kind} for item in CHEAP]
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


def test_unknown_bare_ids_of_a_history_are_passed_over(ranker: Ranker) -> None:
    candidates = ["i10", "i11", "i12", "new"]
    expected = ranker.rank(CHEAP, candidates)
    assert ranker.rank([*CHEAP, "unheard of", {"item_id": "nor of", "kind": "click"}], candidates) == expected
    assert ranker.rank([*CHEAP, "new"], candidates) == expected, "known by its id alone"
    frame = pl.DataFrame(
        {
            "user_id": ["a", "b"],
            "history": [CHEAP, [*CHEAP, "new", "unheard of"]],
            "candidates": [candidates, candidates[:3]],
        }
    )
    many = ranker.rank_many(frame).filter(pl.col("user_id") == "b")["score"].to_list()
    assert many == pytest.approx([one.score for one in ranker.rank(CHEAP, candidates[:3])], abs=1e-5)
    dear = {"item_id": "new", "price": 100.0}
    described = ranker.rank([*CHEAP, dear, dear, dear], candidates[:3])
    assert described != ranker.rank(CHEAP, candidates[:3])


def test_the_record_that_describes_an_item_counts_wherever_it_stands(ranker: Ranker) -> None:
    about = {"item_id": "new", "title": "thing number 100", "price": 10.0}
    (expected,) = ranker.rank(CHEAP, [about])
    assert ranker.rank(CHEAP, ["new", about]) == [expected]
    free = ranker.rank(CHEAP, [{**about, "price": 0.0}])
    assert free == ranker.rank(CHEAP, [{**about, "price": None}]), "0 is no price"


def test_fields_that_say_nothing_change_nothing(ranker: Ranker) -> None:
    when = datetime(2024, 1, 1, tzinfo=UTC)
    records = [{"item_id": item, "kind": None, "rating": None, "timestamp": None} for item in CHEAP]
    expected = ranker.rank(CHEAP, ["i10", "i11"])
    assert ranker.rank(records, ["i10", "i11"]) == expected
    some = [{"item_id": CHEAP[0], "timestamp": when}, *CHEAP[1:]]
    assert ranker.rank(some, ["i10", "i11"]) == expected, "the order given stays where a time is missing"


def test_one_id_is_no_list(ranker: Ranker, run: Path) -> None:
    for asked in (("i0", ["i10"]), (CHEAP, "i10"), ({"item_id": "i0"}, ["i10"])):
        with pytest.raises(InputError, match="in brackets"):
            ranker.rank(*asked)
    with pytest.raises(InputError, match="in brackets"):
        Recommender.open(run).recommend("i0")


def test_nothing_to_rank_is_no_error(ranker: Ranker) -> None:
    frame = pl.DataFrame({"user_id": ["a"], "history": [CHEAP], "candidates": [[]]})
    assert ranker.rank_many(frame).is_empty()
    assert ranker.rank_many(frame.clear()).schema == ranker.rank_many(frame).schema


def test_everybody_asks_when_the_shop_was_last_seen(ranker: Ranker, run: Path) -> None:
    visitors, _ = ranker._lists([CHEAP], [["i10"]])
    assert visitors.moment == last_moment(Prepared(run / "prepare"))


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
    for wrong in ([*asked[:3]], [*asked, "--redo"], ["rank", "--student"]):
        done = CliRunner().invoke(app, [str(one) for one in [*wrong, "--out", tmp_path / "wrong.parquet"]])
        assert done.exit_code == 2, wrong


def test_a_student_ranks_as_the_ranker_does(ranker: Ranker, run: Path, tmp_path: Path) -> None:
    student = Ranker.load(run / "ranker", student=True)
    assert list(student.model.scorers) == ["network"]
    assert "text" in {group_of(name) for name in ranker.model.names}
    assert "text" not in {group_of(name) for name in student.model.names}
    candidates = [f"i{item}" for item in range(10, 50)]
    for history in (CHEAP, DEAR):
        best = ids(ranker.rank(history, candidates))
        assert len(set(best) & set(ids(student.rank(history, candidates)))) >= 5
    cheap = student.rank(CHEAP, candidates)
    assert sum(int(item[1:]) % 2 == 0 for item in ids(cheap)) >= 9
    assert all(0 <= one.probability <= 1 for one in cheap)
    assert alike(student) >= 9
    said = json.loads((run / "ranker" / "validation.json").read_text())
    assert said["student"] > said["retrieval"]
    frame = pl.DataFrame({"user_id": ["b"], "history": [CHEAP], "candidates": [candidates]})
    frame.write_parquet(tmp_path / "lists.parquet")
    asked = ["rank", "--candidates", tmp_path / "lists.parquet", "--ranker", run / "ranker", "--student"]
    done = CliRunner().invoke(app, [str(one) for one in [*asked, "--out", tmp_path / "ranked.parquet"]])
    assert done.exit_code == 0, done.output
    assert pl.read_parquet(tmp_path / "ranked.parquet").equals(student.rank_many(frame))
    shutil.copytree(run / "ranker", tmp_path / "alone", ignore=shutil.ignore_patterns("student"))
    with pytest.raises(InputError, match=r"ranker.student.enabled"):
        Ranker.load(tmp_path / "alone", student=True)


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
    for_one = shop.for_visitors(pl.DataFrame({"user_id": ["me"] * 3, "item_id": CHEAP}), k=5)
    assert for_one["item_id"].to_list() == ids(found)
    user = shop.for_users(["u000"], k=3)
    ranked = pl.read_parquet(run / "rank" / "ranked.parquet").filter(pl.col("user_id") == "u000").head(3)
    assert user["item_id"].to_list() == ranked["item_id"].to_list()
    with pytest.raises(InputError, match="aisle ranker"):
        Recommender.open(run).recommend(CHEAP, explain=True)


def test_stars_of_items_and_users_are_features(ranker: Ranker, run: Path) -> None:
    assert {"sentiment.mean", "sentiment.user's mean", "sentiment.to user's"} <= set(ranker.model.names)
    assert ranker.model.reviewers == Reviewers.of(Prepared(run / "prepare"), StandingSettings())
    starred = [{"item_id": item, "rating": 1.0, "kind": "review"} for item in CHEAP]
    visitors, lists = ranker._lists([starred], [["i10"]])
    features = ranker.model.features(lists, histories_of(visitors))
    row = dict(zip(features.names, features.values[0].tolist(), strict=True))
    prior = ranker.model.reviewers.prior
    expected = (3 * 0 + prior.mean_worth * prior.mean) / (3 + prior.mean_worth)
    assert row["sentiment.user's mean"] == pytest.approx(expected, abs=1e-5)
    assert row["sentiment.to user's"] == pytest.approx(row["sentiment.mean"] - expected, abs=1e-5)


def test_new_items_are_ranked_with_the_others(run: Path) -> None:
    shop = Recommender.load(run)
    new = pl.DataFrame({"item_id": ["cheap", "dear"], "price": [10.0, 100.0]})
    new = new.with_columns(title=pl.lit("thing number 100"))
    longer = shop.with_items(new.head(1)).with_items(new.tail(1))
    scores = {one.item_id: one.score for one in longer.recommend(CHEAP, k=62)}
    assert scores["cheap"] > scores["dear"]
    records = {one["item_id"]: one for one in new.to_dicts()}
    direct = shop.ranker.rank(CHEAP, [records.get(item, item) for item in scores], k=None)
    assert scores == pytest.approx({one.item_id: one.score for one in direct}, abs=1e-5)
