"""What every kind of index promises, on a planted world with a known answer."""

import numpy as np
import pytest

from aisle.index import kinds
from aisle.index.base import NONE, Index
from aisle.index.errors import IndexFault
from aisle.index.settings import IndexSettings

N, DIM, K = 3_000, 32, 10
KINDS = ("exact",)


@pytest.fixture(scope="module")
def world():
    """Items in 60 clusters, and queries near some of them: true neighbours are close, all others far."""
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(60, DIM))
    vectors = centers[rng.integers(0, 60, N)] + 0.3 * rng.normal(size=(N, DIM))
    queries = vectors[rng.choice(N, 24, replace=False)] + 0.1 * rng.normal(size=(24, DIM))
    return vectors.astype(np.float32), queries.astype(np.float32)


def truth(vectors, queries, k, allowed):
    """Rank every allowed item of every query with a plain product; `allowed` is bool (b, n)."""
    scores = np.where(allowed, queries @ vectors.T, -np.inf)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.where(np.take_along_axis(scores, order, 1) == -np.inf, NONE, order)


def recall(found, wanted):
    """Share of the wanted rows that were found; 1 where none is wanted."""
    hits = sum(len({*a} & {*b} - {NONE}) for a, b in zip(found.tolist(), wanted.tolist(), strict=True))
    return hits / (wanted != NONE).sum() if (wanted != NONE).any() else 1.0


@pytest.fixture(scope="module", params=KINDS)
def index(request, world):
    return kinds.build(world[0], IndexSettings(device="cpu", kind=request.param))


def test_it_is_an_index(index):
    assert isinstance(index, Index)
    assert (len(index), index.dim) == (N, DIM)


FILTERS = {
    "none": lambda rng: np.ones(N, bool),
    "one dropped": lambda rng: np.arange(N) != rng.integers(N),
    "half": lambda rng: rng.random(N) < 0.5,
    "a tenth": lambda rng: rng.random(N) < 0.1,
    "0.1%": lambda rng: np.isin(np.arange(N), rng.choice(N, N // 1000, replace=False)),
    "nothing left": lambda rng: np.zeros(N, bool),
}


@pytest.mark.parametrize("shared", [True, False], ids=["for all", "for each query"])
@pytest.mark.parametrize("name", FILTERS)
def test_k_results_whenever_k_exist(index, world, name, shared):
    vectors, queries = world
    rng = np.random.default_rng(1)
    allow = FILTERS[name](rng) if shared else np.stack([FILTERS[name](rng) for _ in queries])
    exclude = [rng.choice(N, size, replace=False) for size in rng.integers(0, 40, len(queries))]
    allowed = np.broadcast_to(allow, (len(queries), N)).copy()
    for query, rows in enumerate(exclude):
        allowed[query, rows] = False
    scores, rows = index.search(queries, K, exclude, allow)
    wanted = truth(vectors, queries, K, allowed)
    assert ((rows != NONE).sum(1) == np.minimum(K, allowed.sum(1))).all()
    query, place = np.nonzero(rows != NONE)
    assert allowed[query, rows[query, place]].all()
    assert (np.diff(np.where(rows == NONE, -1e30, scores), axis=1) <= 0).all()
    assert np.isneginf(scores[rows == NONE]).all()
    assert recall(rows, wanted) >= 0.95


def test_more_wanted_than_there_are(index, world):
    _, queries = world
    _, rows = index.search(queries[:2], N + 5, None, np.arange(N) < 40)
    assert (np.sort(rows[:, :40], axis=1) == np.arange(40)).all()
    assert (rows[:, 40:] == NONE).all()


def test_vectors_come_back(index, world):
    some = np.array([5, 0, N - 1])
    np.testing.assert_array_equal(index.vectors[some], index.reconstruct(some))
    np.testing.assert_allclose(index.reconstruct(some), world[0][some], atol=0.05)
    with pytest.raises(IndexFault, match=f"rows from 0 to {N - 1}"):
        index.reconstruct(np.array([N]))


@pytest.mark.parametrize("mmap", [True, False])
def test_what_was_written_answers_alike(index, world, tmp_path, mmap):
    kinds.write(index, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(kinds.FILES)
    again = kinds.read(tmp_path, IndexSettings(device="cpu"), mmap)
    for one, other in zip(index.search(world[1], K), again.search(world[1], K), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_mask_of_another_length(index, world):
    with pytest.raises(IndexFault, match="mask of shape"):
        index.search(world[1], K, None, np.ones(N + 1, bool))


@pytest.mark.parametrize("storage", ["float32", "fp16", "int8"])
@pytest.mark.parametrize("metric", ["inner_product", "cosine"])
def test_metric_and_storage(world, metric, storage):
    vectors, queries = world
    index = kinds.build(vectors, IndexSettings(device="cpu", metric=metric, storage=storage))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True) if metric == "cosine" else vectors
    asked = queries / np.linalg.norm(queries, axis=1, keepdims=True) if metric == "cosine" else queries
    wanted = truth(unit, asked, K, np.ones((len(queries), N), bool))
    for part in (slice(0, 1), slice(0, 24)):  # one by one, and as a matrix product
        scores, rows = index.search(queries[part], K)
        assert recall(rows, wanted[part]) >= (1.0 if storage == "float32" else 0.9)
        exact = (asked[part, None] * unit[rows]).sum(2)
        np.testing.assert_allclose(scores, exact, atol=1e-4 if storage == "float32" else 0.2)
    np.testing.assert_array_equal(world[0], vectors)
