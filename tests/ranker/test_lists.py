"""Lists of candidates from tables, and what is computed over them, against plain loops."""

from math import log2

import numpy as np
import polars as pl
import pytest
from scipy import sparse

from aisle.data.errors import InputError
from aisle.data.ids import Ids
from aisle.ranker.alarm import constant_share
from aisle.ranker.blend import Blend, Scale, choose
from aisle.ranker.kinship import SUMMARIES, Alike, Counted, Near
from aisle.ranker.lists import Lists
from aisle.ranker.ndcg import gains
from aisle.ranker.normal import Normal

USERS, ITEMS = Ids(["a", "b"]), Ids(["x", "y", "z"])


def test_lists_are_ordered_by_score_and_then_as_given() -> None:
    table = pl.DataFrame(
        {
            "user_id": ["b", "a", "b", "b"],
            "item_id": ["x", "z", "y", "z"],
            "score": [1.0, 5.0, float("nan"), 2.0],
            "towers": [0.1, 0.2, 0.3, 0.4],
        }
    )
    lists = Lists.of(table, USERS, ITEMS)
    assert lists.users.tolist() == [0, 1]
    assert lists.items.tolist() == [2, 2, 0, 1]
    assert lists.ranks.tolist() == [1, 1, 2, 3]
    assert np.isnan(lists.scores[3])
    assert lists.sources["towers"].tolist() == pytest.approx([0.2, 0.4, 0.1, 0.3])
    assert lists.take(np.array([1])).items.tolist() == [2, 0, 1]
    assert lists.labels([np.array([2]), np.array([1])]).tolist() == [True, False, False, True]


def test_unknown_and_repeated_candidates_are_refused() -> None:
    table = pl.DataFrame({"user_id": ["a", "a"], "item_id": ["x", "x"], "score": [1.0, 2.0]})
    with pytest.raises(InputError, match="once"):
        Lists.of(table, USERS, ITEMS)
    with pytest.raises(InputError, match="does not know"):
        Lists.of(table.with_columns(item_id=pl.lit("new")), USERS, ITEMS)


def test_gains_count_ties_against_and_what_was_not_retrieved() -> None:
    scores = np.array([3, 2, 2, 1, 9, 8], np.float32)
    labels = np.array([0, 1, 0, 0, 1, 1], bool)
    found = gains(scores, labels, np.array([4, 2]), np.array([1, 3]))
    ideal = 1 + 1 / log2(3) + 1 / log2(4)
    assert found.tolist() == pytest.approx([1 / log2(4), (1 + 1 / log2(3)) / ideal])


def test_the_blend_leaves_a_bad_ranker_out() -> None:
    rng = np.random.default_rng(0)
    labels = np.zeros((200, 20), bool)
    labels[:, 3] = True
    retrieval = (labels + rng.normal(0, 0.5, labels.shape)).astype(np.float32).ravel()
    noise = rng.normal(size=retrieval.shape).astype(np.float32)
    sizes, relevant = np.full(200, 20), np.ones(200, np.int64)
    blend, said = choose({"noise": noise}, retrieval, labels.ravel(), sizes, relevant)
    assert said["chosen"] >= said["retrieval"] > said["noise"]
    assert blend.weight < 0.5
    assert choose({"good": 2 * retrieval}, noise, labels.ravel(), sizes, relevant)[0].weight > 0.5


def test_an_unknown_score_stands_at_the_mean() -> None:
    blend = Blend(0.5, {"one": Scale(2.0, 4.0), "retrieval": Scale(1.0, 2.0)})
    unknown, known = np.array([np.nan, 5.0], np.float32), np.array([6.0, 2.0], np.float32)
    assert blend.scores({"one": known}, unknown).tolist() == [0.5 * 1 + 0.5 * 0, 0.5 * 0 + 0.5 * 2]


def test_kinships_are_those_of_a_plain_loop() -> None:
    rng = np.random.default_rng(1)
    dense = (rng.random((6, 6)) * (rng.random((6, 6)) < 0.5)).astype(np.float32)
    vectors = Near.of(rng.normal(size=(6, 4)).astype(np.float32))
    codes = np.array([0, 0, 1, 1, -1, -1])
    past, items = rng.integers(6, size=(3, 4)), rng.integers(6, size=(3, 5))
    for kinship, plain in (
        (Counted(sparse.csr_array(dense)), lambda event, item: dense[event, item]),
        (vectors, lambda event, item: vectors.vectors[event] @ vectors.vectors[item]),
        (Alike(codes), lambda event, item: float(codes[event] == codes[item] >= 0)),
    ):
        found = kinship(past, items)
        for row, place, event in np.ndindex(found.shape):
            expected = plain(past[row, event], items[row, place])
            assert found[row, place, event] == pytest.approx(expected, abs=1e-6)


def test_summaries_look_at_events_newest_first() -> None:
    values = np.array([[[0.5, 0.2, 0.0]]], np.float32)  # two events, and a place that is not filled
    weights = np.array([[1.0, 0.7, 0.0]], np.float32)
    found = {name: summary(values, weights).item() for name, summary in SUMMARIES.items()}
    expected = {"last": 0.5, "second": 0.2, "most": 0.5, "mean": 0.35, "recent": 0.5 + 0.7 * 0.2}
    assert found == pytest.approx(expected)


def test_missing_numbers_are_marked_and_not_zero() -> None:
    values = np.array([[1.0, 10.0], [3.0, np.nan], [1.0, 14.0], [3.0, np.nan]], np.float32)
    normal = Normal.fit(values)
    assert normal.of(values).tolist() == [[-1, -1, 0], [1, 0, 1], [-1, 1, 0], [1, 0, 1]]
    assert normal.of(np.array([[2.0, 1e9]], np.float32)).tolist() == [[0, 5, 0]]


def test_what_was_always_the_same_says_nothing_later() -> None:
    normal = Normal.fit(np.array([[7.0, 0.1], [7.0, 0.2]], np.float32))
    assert normal.of(np.array([[3.0, 0.1], [1e9, 0.2]], np.float32)) == pytest.approx(
        np.array([[0, -1], [0, 1]]), abs=1e-5
    )


def test_the_alarm_sees_scores_that_do_not_order() -> None:
    owner = np.repeat(np.arange(10), 5)
    varied = np.random.default_rng(0).normal(size=50).astype(np.float32)
    assert constant_share(varied, owner) == 0
    assert constant_share(np.full(50, 0.3, np.float32), owner) == 1
    by_list = np.repeat(varied[:10], 5)
    assert constant_share(by_list, owner) == 1
