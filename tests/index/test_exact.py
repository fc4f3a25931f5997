"""Exact search against a plain matrix product."""

import numpy as np
import pytest

from aisle.index.errors import IndexFault
from aisle.index.exact import NONE, ExactIndex
from aisle.index.settings import IndexSettings

CPU = IndexSettings(device="cpu")


def oracle(vectors, queries, k, exclude):
    """Rank every item of every query in plain Python."""
    answer = []
    for query, unwanted in zip(queries, exclude, strict=True):
        scores = vectors @ query
        order = sorted(set(range(len(vectors))) - set(unwanted.tolist()), key=lambda row: (-scores[row], row))
        answer.append(order[:k] + [NONE] * (k - len(order)))
    return np.array(answer)


@pytest.mark.parametrize("k", [1, 5, 40, 60])
def test_search_equals_a_plain_ranking(k):
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(50, 8)).astype(np.float32)
    queries = rng.normal(size=(20, 8)).astype(np.float32)
    exclude = [rng.choice(50, rng.integers(0, 50), replace=False) for _ in queries]
    scores, rows = ExactIndex(vectors, CPU).search(queries, k, exclude)
    np.testing.assert_array_equal(rows, oracle(vectors, queries, k, exclude))
    found = rows != NONE
    assert np.isneginf(scores[~found]).all()
    query, _ = np.nonzero(found)
    np.testing.assert_allclose(
        scores[found], (vectors[rows[found]] * queries[query]).sum(1), rtol=1e-4, atol=1e-5
    )


def test_excluded_items_take_up_no_places():
    vectors = np.eye(4, dtype=np.float32) * [[4], [3], [2], [1]]
    _, rows = ExactIndex(vectors.astype(np.float32), CPU).search(
        np.ones((1, 4), np.float32), 2, [np.array([0, 1])]
    )
    assert rows.tolist() == [[2, 3]]


def test_without_exclusions_and_with_everything_excluded():
    vectors = np.eye(3, dtype=np.float32)
    index = ExactIndex(vectors, CPU)
    assert index.search(vectors, 1)[1].tolist() == [[0], [1], [2]]
    assert index.search(vectors[:1], 2, [np.arange(3)])[1].tolist() == [[NONE, NONE]]


def test_equal_scores_come_in_the_order_of_their_rows():
    index = ExactIndex(np.ones((9, 2), np.float32), CPU)
    assert index.search(np.ones((1, 2), np.float32), 9)[1].tolist() == [list(range(9))]


def test_vectors_come_back():
    vectors = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)
    index = ExactIndex(vectors, CPU)
    np.testing.assert_array_equal(index.vectors, vectors)
    assert (len(index), index.dim) == (5, 3)


@pytest.mark.parametrize(
    ("vectors", "words"),
    [(np.empty((0, 3), np.float32), "shape"), (np.full((2, 3), np.nan, np.float32), "2 of 2")],
)
def test_useless_vectors_are_refused(vectors, words):
    with pytest.raises(IndexFault, match=words):
        ExactIndex(vectors, CPU)


@pytest.mark.parametrize(
    ("queries", "k", "exclude", "words"),
    [
        (np.ones((1, 3), np.float32), 0, None, "k = 0"),
        (np.ones((1, 2), np.float32), 1, None, r"\(1, 2\)"),
        (np.full((1, 3), np.inf, np.float32), 1, None, "infinity"),
        (np.ones((2, 3), np.float32), 1, [np.array([0])], "1 of them"),
    ],
)
def test_useless_searches_are_refused(queries, k, exclude, words):
    index = ExactIndex(np.eye(3, dtype=np.float32), CPU)
    with pytest.raises(IndexFault, match=words):
        index.search(queries, k, exclude)


def test_a_gpu_that_is_not_there():
    import faiss

    if faiss.get_num_gpus():
        pytest.skip("there is a GPU")
    with pytest.raises(IndexFault, match="FAISS finds none"):
        ExactIndex(np.eye(2, dtype=np.float32), IndexSettings(device="gpu"))
