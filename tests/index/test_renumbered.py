"""An index in other numbers answers as one that was built in them."""

import numpy as np
import pytest

from aisle.index.base import NONE
from aisle.index.errors import IndexFault
from aisle.index.exact import ExactIndex
from aisle.index.renumbered import Renumbered
from aisle.index.settings import IndexSettings

CPU = IndexSettings(device="cpu")
SIZE, HELD, GONE = 30, 20, 3


@pytest.fixture
def world() -> tuple[Renumbered, np.ndarray, np.ndarray]:
    """An index of 20 rows, 3 of them never returned; the vectors in the new numbers; who is there."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(HELD, 4)).astype(np.float32)
    rows = rng.permutation(SIZE)[:HELD]
    rows[:GONE] = NONE
    whole = np.zeros((SIZE, 4), np.float32)
    whole[rows[GONE:]] = vectors[GONE:]
    return Renumbered(ExactIndex(vectors, CPU), rows, SIZE), whole, np.isin(np.arange(SIZE), rows[GONE:])


@pytest.mark.parametrize("k", [1, 5, SIZE])
def test_it_answers_as_if_built_in_the_new_numbers(world, k: int) -> None:
    index, whole, held = world
    rng = np.random.default_rng(1)
    queries = rng.normal(size=(6, 4)).astype(np.float32)
    exclude = [rng.permutation(SIZE)[: 3 * query] for query in range(6)]
    for allow in (None, rng.random(SIZE) < 0.5, rng.random((6, SIZE)) < 0.5):
        scores, rows = index.search(queries, k, exclude, allow)
        for query in range(6):
            left = held.copy() if allow is None else held & (allow if allow.ndim == 1 else allow[query])
            left[exclude[query]] = False
            best = np.argsort(-np.where(left, whole @ queries[query], -np.inf))[: min(k, left.sum())]
            assert rows[query].tolist() == best.tolist() + [NONE] * (k - len(best))
            np.testing.assert_allclose(
                scores[query, : len(best)], whole[best] @ queries[query], rtol=1e-5, atol=1e-6
            )


def test_what_it_holds(world) -> None:
    index, whole, held = world
    assert (len(index), index.dim) == (SIZE, 4)
    np.testing.assert_array_equal(index.held, held)
    np.testing.assert_array_equal(index.vectors, whole)
    some = np.flatnonzero(held)[[3, 1]]
    np.testing.assert_array_equal(index.reconstruct(some), whole[some])
    for wrong in (np.flatnonzero(~held)[:1], np.array([SIZE])):
        with pytest.raises(IndexFault, match="have an item"):
            index.reconstruct(wrong)


@pytest.mark.parametrize("rows", [[0, 0], [0, 5], [0]])
def test_numbers_that_cannot_be(rows: list[int]) -> None:
    with pytest.raises(IndexFault, match="number them anew"):
        Renumbered(ExactIndex(np.eye(2, dtype=np.float32), CPU), np.array(rows), 5)
