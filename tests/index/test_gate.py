"""The gate measures what it says: each check against an index made to fail it, and plain arithmetic."""

import numpy as np
import polars as pl
import pytest

from aisle.index.exact import NONE, ExactIndex
from aisle.index.gate import Side, inspect, kth_scores, recall
from aisle.index.rebuild_settings import GateSettings
from aisle.index.settings import IndexSettings

CPU = IndexSettings(device="cpu")
GATE = GateSettings(sample=50, k=5)


def side(vectors, ids=None, index=None):
    ids = pl.Series([f"i{n}" for n in range(len(vectors))]) if ids is None else ids
    return Side(index or ExactIndex(vectors, CPU), ids, vectors)


@pytest.fixture
def vectors():
    return np.random.default_rng(0).normal(size=(80, 6)).astype(np.float32)


def outcome(findings):
    return {finding.check: (finding.value, finding.passed) for finding in findings}


class Blind(ExactIndex):
    """Finds every other one of the neighbours."""

    def search(self, queries, k, exclude=None, allow=None):
        scores, rows = super().search(queries, k, exclude, allow)
        rows[:, ::2] = NONE
        return scores, rows


def test_an_index_equal_to_the_live_one_passes(vectors):
    found = outcome(inspect(side(vectors), side(vectors), GATE))
    assert found == {
        "not finite": (0, True),
        "zero": (0, True),
        "recall": (1, True),
        "norm drift": (0, True),
        "count drift": (0, True),
        "overlap": (1, True),
    }


def test_the_first_version_has_nothing_to_be_like(vectors):
    assert set(outcome(inspect(side(vectors), None, GATE))) == {"not finite", "zero", "recall"}


def test_recall_of_an_index_that_finds_two_of_five(vectors):
    found = outcome(inspect(side(vectors, index=Blind(vectors, CPU)), None, GATE))
    assert found["recall"] == (pytest.approx(2 / 5), False)


def test_vectors_that_are_spoilt(vectors):
    index = ExactIndex(vectors, CPU)
    vectors = vectors.copy()
    vectors[3, 2], vectors[4, 0] = np.nan, np.inf
    assert outcome(inspect(side(vectors, index=index), None, GATE))["not finite"] == (2, False)
    vectors[3:5] = 0
    assert outcome(inspect(side(vectors, index=index), None, GATE))["zero"] == (2 / 80, False)


def test_drift_of_length_and_of_count(vectors):
    found = outcome(inspect(side(2 * vectors[:60]), side(vectors), GATE))
    expected = 2 * np.linalg.norm(vectors[:60], axis=1).mean() / np.linalg.norm(vectors, axis=1).mean() - 1
    assert found["norm drift"] == (pytest.approx(expected, rel=1e-5), False)
    assert found["count drift"] == (pytest.approx(1 - 60 / 80), False)


def test_overlap_is_by_id_and_not_by_row(vectors):
    order = np.random.default_rng(1).permutation(80)
    ids = pl.Series([f"i{n}" for n in order])
    assert outcome(inspect(side(vectors[order], ids), side(vectors), GATE))["overlap"] == (1, True)
    found = outcome(inspect(side(vectors[order]), side(vectors), GATE))["overlap"]
    assert found[0] < 0.5
    assert not found[1]


def test_overlap_counts_neighbours_that_only_one_version_has():
    """On a line, each version names the two nearest; of those of `c`, `b` and `d` became `b` and `e`."""
    line = {"a": 0.0, "b": 1.0, "c": 2.0, "d": 2.5, "e": 4.0}

    def at(names: str) -> Side:
        points = np.array([[2 * line[one], -(line[one] ** 2), 1] for one in names], np.float32)
        queries = np.array([[line[one], 1, 0] for one in names], np.float32)

        class Line(ExactIndex):
            """Minus the squared distance, up to what all items share."""

            def search(self, asked, k, exclude=None, allow=None):
                rows = [int(one[0]) for one in exclude]
                return super().search(queries[rows], k, exclude, allow)

        return Side(Line(points, CPU), pl.Series(list(names)), points)

    found = outcome(inspect(at("ecba"), at("abcd"), GateSettings(sample=50, k=2)))
    # old: a bc, b ac (or cd), c db; new: a bc, b ac, c ba (e is as far as a)
    shares = {"a": 2 / 2, "b": 2 / 2, "c": 1 / 2}
    assert found["overlap"][0] == pytest.approx(sum(shares.values()) / 3)


def test_versions_without_a_common_item_have_no_overlap(vectors):
    ids = pl.Series([f"other{n}" for n in range(80)])
    assert outcome(inspect(side(vectors, ids), side(vectors), GATE))["overlap"] == (0, False)


@pytest.mark.parametrize("metric", ["inner_product", "cosine"])
def test_the_kth_score_is_that_of_a_plain_ranking(vectors, metric, monkeypatch):
    monkeypatch.setattr("aisle.index.gate.ROWS_AT_ONCE", 13)
    rows = np.array([0, 7, 79])
    settings = IndexSettings(device="cpu", metric=metric)
    asked = Side(ExactIndex(vectors, settings), pl.Series(range(80)), vectors, metric)
    compared = vectors / np.linalg.norm(vectors, axis=1, keepdims=True) if metric == "cosine" else vectors
    for row, worst in zip(rows, kth_scores(asked, rows, 4), strict=True):
        scores = compared @ compared[row]
        assert worst == pytest.approx(np.sort(np.delete(scores, row))[-4], rel=1e-5)
    assert recall(asked, rows, 4) == 1


def test_items_with_equal_texts_are_equally_right():
    vectors = np.repeat(np.eye(3, dtype=np.float32), 20, axis=0)

    class Backwards(ExactIndex):
        """Equal scores by row, the last one first."""

        def search(self, queries, k, exclude=None, allow=None):
            scores, rows = super().search(queries, len(self), exclude, allow)
            order = np.lexsort((-rows, -scores), axis=1)[:, :k]
            return np.take_along_axis(scores, order, 1), np.take_along_axis(rows, order, 1)

    found = outcome(inspect(side(vectors, index=Backwards(vectors, CPU)), None, GATE))
    assert found["recall"] == (1, True)


def test_fewer_items_than_neighbours():
    vectors = np.eye(3, dtype=np.float32)
    assert outcome(inspect(side(vectors), side(vectors), GATE))["recall"] == (1, True)
    assert outcome(inspect(side(vectors[:1]), None, GATE))["recall"] == (1, True)
