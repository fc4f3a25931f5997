"""Changes between builds: searched as if the index had been built of what there is now."""

import threading

import numpy as np
import pytest

from aisle.index import kinds
from aisle.index.base import NONE
from aisle.index.delta import FILE, Updated, load_delta, save_delta
from aisle.index.errors import IndexFault
from aisle.index.settings import IndexSettings

N, DIM, K = 400, 8, 7


def settings(**more):
    return IndexSettings(device="cpu", **more)


@pytest.fixture
def vectors():
    return np.random.default_rng(0).normal(size=(N, DIM)).astype(np.float32)


def oracle(items, queries, k, exclude, allow):
    """Rank all items of a dictionary row -> vector."""
    answer = []
    for query, unwanted in zip(queries, exclude, strict=True):
        rows = [row for row in items if row not in set(unwanted.tolist()) and allow[row]]
        rows.sort(key=lambda row: -float(items[row] @ query))
        answer.append(rows[:k] + [NONE] * (k - len(rows)))
    return np.array(answer)


@pytest.mark.parametrize("metric", ["inner_product", "cosine"])
@pytest.mark.parametrize("kind", ["exact", "IVF4,Flat"])
def test_random_changes_equal_a_plain_dictionary(vectors, tmp_path, kind, metric):
    rng = np.random.default_rng(1)

    def unit(some):
        return some / np.linalg.norm(some, axis=-1, keepdims=True) if metric == "cosine" else some

    chosen = settings(kind=kind, metric=metric)
    base = kinds.build(vectors, chosen)
    index = Updated(base, chosen)
    items = dict(enumerate(unit(vectors)))
    for step in range(30):
        some = rng.choice(list(items), 9, replace=False)
        fresh = rng.normal(size=(9, DIM)).astype(np.float32)
        match step % 3:
            case 0:
                items.update(zip(index.add(fresh).tolist(), unit(fresh), strict=True))
            case 1:
                index.replace(some, fresh)
                items.update(zip(some.tolist(), unit(fresh), strict=True))
            case 2:
                index.delete(some)
                for row in some.tolist():
                    del items[row]
    queries = rng.normal(size=(6, DIM)).astype(np.float32)
    exclude = [rng.choice(len(index), 50, replace=False) for _ in queries]
    save_delta(index, tmp_path)
    for one in (index, load_delta(base, tmp_path, chosen)):
        assert one.alive.sum() == len(items)
        for allow in (np.ones(len(one), bool), rng.random(len(one)) < 0.3):
            _, rows = one.search(queries, K, exclude, allow)
            np.testing.assert_array_equal(rows, oracle(items, queries, K, exclude, allow))
        np.testing.assert_array_equal(
            one.search(queries, K)[1],
            oracle(items, queries, K, [np.empty(0)] * 6, np.ones(len(one), bool)),
        )
        held = np.array(sorted(items))
        np.testing.assert_allclose(one.reconstruct(held), [items[row] for row in held], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(np.flatnonzero(index.alive), held)
    np.testing.assert_allclose(index.vectors[index.alive], [items[row] for row in held], rtol=1e-5, atol=1e-6)


def test_everything_deleted(vectors):
    index = Updated(kinds.build(vectors, settings()), settings())
    index.delete(np.arange(N))
    assert (index.search(vectors[:2], K)[1] == NONE).all()
    assert index.vectors[index.alive].shape == (0, DIM)
    assert index.add(vectors[:1]).tolist() == [N]
    assert index.search(vectors[:1], 2)[1].tolist() == [[N, NONE]]


def test_the_large_index_is_left_alone(vectors):
    base = kinds.build(vectors, settings())
    before = base.search(vectors[:5], K)[1]
    Updated(base, settings()).delete(before[0])
    np.testing.assert_array_equal(base.search(vectors[:5], K)[1], before)


def test_a_search_sees_one_state(vectors):
    """While one thread replaces an item back and forth, it is never missing and never there twice."""
    index = Updated(kinds.build(vectors, settings()), settings())
    best = np.full((1, DIM), 9.0, np.float32)
    index.replace(np.array([3]), best)
    stop = threading.Event()

    def change():
        while not stop.is_set():
            index.replace(np.array([3]), best * 2)
            index.replace(np.array([3]), best)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        answers = [index.search(best, 5)[1][0].tolist() for _ in range(200)]
    finally:
        stop.set()
        thread.join()
    assert all(rows[0] == 3 and len(set(rows)) == 5 for rows in answers)


@pytest.mark.parametrize("rows", [[0, 0], [N], [-1], [5]], ids=["twice", "unknown", "negative", "deleted"])
def test_rows_without_an_item(vectors, rows):
    index = Updated(kinds.build(vectors, settings()), settings())
    index.delete(np.array([5]))
    for change in (index.delete, index.reconstruct) if rows != [0, 0] else (index.delete,):
        with pytest.raises(IndexFault, match="different"):
            change(np.array(rows))
    with pytest.raises(IndexFault, match="different"):
        index.replace(np.array(rows), np.zeros((len(rows), DIM), np.float32))


@pytest.mark.parametrize(("shape", "value"), [((1, DIM + 1), 0.0), ((1, DIM), np.nan)])
def test_vectors_that_cannot_be_added(vectors, shape, value):
    index = Updated(kinds.build(vectors, settings()), settings())
    with pytest.raises(IndexFault):
        index.add(np.full(shape, value, np.float32))
    assert len(index) == N


def test_changes_of_another_index(vectors, tmp_path):
    base = kinds.build(vectors, settings())
    index = Updated(base, settings())
    assert load_delta(base, tmp_path, settings()).changed == 0
    index.add(vectors[:3])
    save_delta(index, tmp_path)
    for other in (vectors[:50], vectors[:, :4]):
        with pytest.raises(IndexFault, match="changes to"):
            load_delta(kinds.build(np.ascontiguousarray(other), settings()), tmp_path, settings())
    (tmp_path / FILE).write_bytes(b"PAR1 no table")
    with pytest.raises(IndexFault, match="changes of an index"):
        load_delta(base, tmp_path, settings())
