"""A search screened by products of bytes answers as the search of all vectors does."""

import numpy as np
import pytest

from aisle.index import screen
from aisle.index.codes import Asked, Codes
from aisle.index.exact import NONE, ExactIndex
from aisle.index.settings import IndexSettings

N, DIM, K = 3000, 24, 10
PLAIN = IndexSettings(device="cpu", screen=False)


@pytest.fixture(autouse=True, params=["rows", "tiles"])
def small(monkeypatch, request):
    """Blocks of 64 vectors, so that small worlds have many, and the ways of either kind of processor."""
    monkeypatch.setattr("aisle.index.products.multiplies_tiles", lambda: request.param == "tiles")
    monkeypatch.setattr("aisle.index.codes.BLOCK", 64)
    monkeypatch.setattr(screen, "BLOCK", 64)
    monkeypatch.setattr(screen, "FEWEST_VECTORS", 512)
    monkeypatch.setattr(screen, "FEWEST_NUMBERS", 512 * DIM)
    monkeypatch.setattr(screen, "HOPELESS", 0.5)  # of few vectors, many are near the best
    monkeypatch.setattr(screen, "multiplies_bytes", lambda: True)
    monkeypatch.setattr(screen, "multiplies_tiles", lambda: False)


def vectors_of(kind: str, generator: np.random.Generator) -> np.ndarray:
    plain = generator.standard_normal((N, DIM), np.float32)
    centres = generator.standard_normal((20, DIM), np.float32)[generator.integers(20, size=N)]
    return {
        "random": plain,
        "clusters": centres + 0.05 * plain + 3,
        "outliers": plain * np.where(generator.random((N, 1)) < 0.01, 1e4, 1).astype(np.float32),
        "tiny": plain * np.float32(1e-12),
        "huge": plain * np.float32(1e12),
        "one long dimension": plain * np.where(np.arange(DIM) == 3, 500, 1).astype(np.float32),
        "unit": plain / np.linalg.norm(plain, axis=1, keepdims=True),
    }[kind]


KINDS = ("random", "clusters", "outliers", "tiny", "huge", "one long dimension", "unit")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("queries", [8, 40])
def test_the_answer_is_that_of_all_products(kind, queries):
    generator = np.random.default_rng(queries)
    vectors = vectors_of(kind, generator)
    asked = vectors[generator.integers(N, size=queries)] + 0.1 * vectors_of(kind, generator)[:queries]
    index = ExactIndex(vectors, IndexSettings(device="cpu"))
    if kind in ("random", "tiny", "huge", "unit"):  # bytes tell little of the others, of so few numbers
        assert not index._screen.search(asked, K)[1].any()
    scores, rows = index.search(asked, K)
    exact = asked.astype(np.float64) @ vectors.astype(np.float64).T
    best = -np.sort(-exact, axis=1)[:, :K]
    size = np.linalg.norm(asked, axis=1)[:, None] * np.linalg.norm(vectors, axis=1).max()
    assert (np.abs(scores - best) <= DIM * 2.0**-23 * size).all()
    assert (np.abs(np.take_along_axis(exact, rows, 1) - best) <= DIM * 2.0**-23 * size).all()
    assert (np.diff(np.sort(rows, axis=1)) > 0).all()


def test_whole_numbers_are_answered_to_the_last_row():
    """Of whole numbers every product is exact, and equal scores come by their rows."""
    generator = np.random.default_rng(0)
    vectors = generator.integers(-5, 6, size=(N, DIM)).astype(np.float32)
    asked = generator.integers(-5, 6, size=(20, DIM)).astype(np.float32)
    scores = asked @ vectors.T
    order = np.lexsort((np.broadcast_to(np.arange(N), scores.shape), -scores), axis=1)[:, :K]
    found, rows = ExactIndex(vectors, IndexSettings(device="cpu")).search(asked, K)
    np.testing.assert_array_equal(rows, order)
    np.testing.assert_array_equal(found, np.take_along_axis(scores, order, 1))


def test_no_bound_is_ever_passed():
    generator = np.random.default_rng(1)
    for kind in KINDS:
        vectors = vectors_of(kind, generator)
        codes = Codes.of(ExactIndex(vectors, PLAIN).faiss)
        queries = vectors[:9]
        asked = Asked.of(queries, codes)
        less_mean = queries.astype(np.float64) @ (vectors.astype(np.float64) - codes.mean).T
        for block in range(len(codes.step)):
            products = asked.codes.astype(np.int64) @ codes.block(block).astype(np.int64).T
            real = less_mean[:, codes.rows[block * 64 : (block + 1) * 64]]
            wrong = np.abs(products * asked.unit[:, block, None] - real)
            assert (wrong <= asked.error[:, block, None]).all(), kind
            assert (np.abs(real) <= asked.most[:, block, None]).all(), kind
            low = asked.cuts(real.min(axis=1))[:, block]
            assert (products >= low[:, None]).all(), kind


def test_vectors_that_are_all_alike_and_queries_of_zeros_are_searched_plainly():
    generator = np.random.default_rng(2)
    alike = np.ones((N, DIM), np.float32)
    index = ExactIndex(alike, IndexSettings(device="cpu"))
    (_, rows), given_up = index._screen.search(alike[:9], K)
    assert given_up.all()
    assert (rows == NONE).all()
    assert (index.search(alike[:9], K)[0] == DIM).all()
    vectors = generator.standard_normal((N, DIM), np.float32)
    asked = np.vstack([np.zeros((1, DIM), np.float32), vectors[:9]])
    index = ExactIndex(vectors, IndexSettings(device="cpu"))
    assert index._screen.search(asked, K)[1].tolist() == [True] + [False] * 9
    scores, rows = index.search(asked, K)
    plain = ExactIndex(vectors, PLAIN).search(asked, K)
    np.testing.assert_allclose(scores, plain[0], rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(rows[1:], plain[1][1:])


def test_seen_items_and_other_efforts_are_the_same(monkeypatch):
    generator = np.random.default_rng(3)
    vectors = generator.standard_normal((N, DIM), np.float32)
    asked = generator.standard_normal((30, DIM), np.float32)
    exclude = [generator.choice(N, generator.integers(0, 30), replace=False) for _ in asked]
    monkeypatch.setattr(screen, "PENDING", 100)
    monkeypatch.setattr(screen, "AT_ONCE", 16)
    index = ExactIndex(vectors, IndexSettings(device="cpu"))
    scores, rows = index.search(asked, K, exclude)
    plain = ExactIndex(vectors, PLAIN).search(asked, K, exclude)
    np.testing.assert_array_equal(rows, plain[1])
    np.testing.assert_allclose(scores, plain[0], rtol=1e-5)
    assert index._screen._codes is not None


def test_it_is_left_out_where_it_gains_nothing(monkeypatch):
    vectors = np.random.default_rng(4).standard_normal((N, DIM), np.float32)
    index = ExactIndex(vectors, IndexSettings(device="cpu"))
    assert index._screen.fits(8, K)
    assert not index._screen.fits(7, K)
    assert not index._screen.fits(8, screen.LARGEST_K + 1)
    monkeypatch.setattr(screen, "FEWEST_NUMBERS", N * DIM + 1)
    assert not index._screen.fits(8, K)
    monkeypatch.setattr(screen, "multiplies_tiles", lambda: True)
    assert not index._screen.fits(8, K)
    monkeypatch.setattr(screen, "FEWEST_WITH_TILES", N * DIM)
    assert index._screen.fits(8, K)
    monkeypatch.setattr(screen, "multiplies_bytes", lambda: False)
    assert not index._screen.fits(8, K)
    assert ExactIndex(vectors, PLAIN)._screen is None
    assert ExactIndex(vectors, IndexSettings(device="cpu", storage="int8"))._screen is None
