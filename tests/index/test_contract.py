"""What every kind of index promises, on a planted world with a known answer."""

import os

import faiss
import numpy as np
import pytest

from aisle.index import cagra, kinds, recipes
from aisle.index.approximate import ApproximateIndex
from aisle.index.base import NONE
from aisle.index.devices import gpus
from aisle.index.errors import IndexFault
from aisle.index.knobs import harder, parameters
from aisle.index.settings import IndexSettings, SearchSettings

DEVICE = os.environ.get("AISLE_TEST_DEVICE", "cpu")
"""`make test-gpu` runs the same promises on a GPU."""

N, DIM, K = 2_000, 32, 10
EXACT = ("exact",)
APPROXIMATE = ("ivf_flat", "ivf_sq8", "ivf_sq4", "ivf_pq", "ivf_binary", "hnsw")
FACTORY = (
    "IVF16,PQ8x4fs,RFlat",
    "PQ16x4",
    "NSG16,Flat",
    "RR32,IVF16,SQ8,RFlat",
    "PCA16,IVF16,Flat",
    "SQ8,RFlat",
    "RaBitQ,RFlat",
)
"""Factory strings: without search parameters, of several layers, and with vectors that come back changed."""
LOSSY = {"PQ16x4": 0.3, "PCA16,IVF16,Flat": 0.6}
"""Recall of kinds that keep vectors coarsely and score nothing again."""


KINDS = EXACT + APPROXIMATE + FACTORY
if DEVICE == "gpu":
    KINDS = ("exact", "ivf_flat", "ivf_sq8", "ivf_pq", *(("cagra",) if cagra.available() else ()))

pytestmark = pytest.mark.skipif(DEVICE == "gpu" and not gpus(), reason="FAISS finds no GPU")


@pytest.fixture(scope="module")
def world():
    """Items in 60 clusters, and queries near some of them: true neighbours are close, all others far."""
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(60, DIM))
    vectors = centers[rng.integers(0, 60, N)] + 0.3 * rng.normal(size=(N, DIM))
    queries = vectors[rng.choice(N, 12, replace=False)] + 0.1 * rng.normal(size=(12, DIM))
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
    return kinds.build(world[0], IndexSettings(device=DEVICE, kind=request.param))


def floor(index):
    """The recall that a kind must reach."""
    return 1.0 if index.settings.kind == "exact" else LOSSY.get(index.settings.kind, 0.95)


def test_it_knows_its_size(index):
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
    found = recall(rows, wanted)
    assert found >= floor(index)


def test_more_wanted_than_there_are(index, world):
    _, queries = world
    _, rows = index.search(queries[:2], N + 5, None, np.arange(N) < 40)
    assert (np.sort(rows[:, :40], axis=1) == np.arange(40)).all()
    assert (rows[:, 40:] == NONE).all()


def test_vectors_come_back(index, world):
    some = np.array([5, 0, N - 1])
    np.testing.assert_allclose(index.vectors[some], index.reconstruct(some), atol=1e-5)
    error = np.square(index.reconstruct(some) - world[0][some]).sum() / np.square(world[0][some]).sum()
    assert error < (0.5 if index.settings.kind in LOSSY else 1e-4)
    with pytest.raises(IndexFault, match=f"rows from 0 to {N - 1}"):
        index.reconstruct(np.array([N]))


@pytest.mark.parametrize("mmap", [True, False])
def test_what_was_written_answers_alike(index, world, tmp_path, mmap):
    kinds.write(index, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(kinds.FILES)
    again = kinds.read(tmp_path, IndexSettings(device=DEVICE), mmap)
    for allow in (None, np.arange(N) % 2 == 0, np.arange(N) < 20):
        before, after = (one.search(world[1], K, None, allow) for one in (index, again))
        np.testing.assert_array_equal(before[1], after[1])
        np.testing.assert_array_equal(before[0], after[0])
    np.testing.assert_array_equal(index.vectors, again.vectors)


def test_a_mask_of_another_length(index, world):
    with pytest.raises(IndexFault, match="mask of shape"):
        index.search(world[1], K, None, np.ones(N + 1, bool))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("ivf_flatt", "could not parse"),
        ("IVF16,PQ7", "ivf_flat, ivf_sq8"),
        ("IVF16,PQ8x4fs", "does not give its vectors back"),
        pytest.param(
            "cagra", "FAISS without cuVS", marks=pytest.mark.skipif(cagra.available(), reason="cuVS")
        ),
    ],
)
def test_kinds_that_cannot_be_built(world, kind, words):
    with pytest.raises(IndexFault, match=words):
        kinds.build(world[0], IndexSettings(device="cpu", kind=kind))


@pytest.mark.parametrize("storage", ["float32", "fp16", "int8"])
@pytest.mark.parametrize("metric", ["inner_product", "cosine"])
def test_metric_and_storage(world, metric, storage):
    if DEVICE == "gpu" and storage == "int8":
        pytest.skip("FAISS has no exact int8 search on a GPU")
    vectors, queries = world
    index = kinds.build(vectors, IndexSettings(device=DEVICE, metric=metric, storage=storage))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True) if metric == "cosine" else vectors
    asked = queries / np.linalg.norm(queries, axis=1, keepdims=True) if metric == "cosine" else queries
    wanted = truth(unit, asked, K, np.ones((len(queries), N), bool))
    for part in (slice(0, 1), slice(0, 12)):  # one by one, and as a matrix product
        scores, rows = index.search(queries[part], K)
        assert recall(rows, wanted[part]) >= (1.0 if storage == "float32" else 0.9)
        exact = (asked[part, None] * unit[rows]).sum(2)
        np.testing.assert_allclose(scores, exact, atol=1e-4 if storage == "float32" else 0.2)
    np.testing.assert_array_equal(world[0], vectors)


@pytest.mark.parametrize(("metric", "warned"), [("inner_product", True), ("cosine", False)])
def test_a_graph_of_uneven_vectors_is_warned_of(world, caplog, metric, warned):
    lengths = np.linspace(1, 3, N, dtype=np.float32)[:, None]
    kinds.build(world[0] * lengths, IndexSettings(device="cpu", kind="HNSW8", metric=metric))
    assert ("lengths from" in caplog.text) == warned


def test_lists_with_too_few_rows_are_not_the_end(world):
    """Three lists hold fewer than half of the rows: more are visited, for those alone who need it."""
    effort = SearchSettings(nprobe=3)
    index = kinds.build(world[0], IndexSettings(device="cpu", kind="IVF32,Flat", search=effort))
    _, rows = index.search(world[1], N // 2)
    assert (rows != NONE).all()
    assert all(len(np.unique(found)) == N // 2 for found in rows)
    few = index.search(world[1], K)[1]
    knobs = parameters(index.faiss, effort)
    np.testing.assert_array_equal(few, index.faiss.search(world[1], K, params=knobs)[1])


def test_a_graph_that_finds_too_few_is_walked_further(monkeypatch):
    """A quarter of the rows may be returned: few candidates of a walk are among them."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((300, DIM), np.float32)[rng.integers(300, size=6000)]
    vectors += 0.02 * rng.standard_normal(vectors.shape, np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    settings = IndexSettings(device="cpu", kind="hnsw", metric="cosine", search=SearchSettings(ef=4))
    index = kinds.build(vectors, settings)
    allow = rng.random(len(vectors)) < 0.25
    selector = faiss.IDSelectorBitmap(np.packbits(allow, bitorder="little"))
    knobs = parameters(index.faiss, settings.search, selector)
    once = index.faiss.search(vectors[:50], 30, params=knobs)[1]
    assert (once == NONE).any(), "FAISS's own answer has gaps"
    monkeypatch.setattr(ApproximateIndex, "_scanned", None)  # and no row by row search is needed to fill them
    rows = index.search(vectors[:50], 30, allow=allow)[1]
    assert (rows != NONE).all()
    assert allow[rows].all()
    assert harder(index.faiss, SearchSettings(ef=24), 30) is None, "96 of 6,000 are as dear as all"
    again = harder(index.faiss, SearchSettings(ef=4), 30)
    assert again is not None
    assert again.ef == 60, "16 would be the walk for 30 rows once more"


@pytest.mark.parametrize(
    ("limit", "metric", "kind"),
    [(N, "cosine", "exact"), (N - 1, "cosine", "hnsw"), (N - 1, "inner_product", "ivf_flat")],
)
def test_auto_says_what_it_took(world, tmp_path, monkeypatch, limit, metric, kind):
    monkeypatch.setattr(recipes, "EXACT_UP_TO", limit)
    settings = IndexSettings(device="cpu", kind="auto", metric=metric)
    index = kinds.build(world[0], settings)
    assert index.settings.kind == kind
    kinds.write(index, tmp_path)
    assert kinds.read(tmp_path, settings).settings.kind == kind
    monkeypatch.setattr(recipes, "WHOLE_UP_TO", 0.0)
    assert kinds.build(world[0], settings).settings.kind == ("exact" if limit == N else "ivf_pq")
