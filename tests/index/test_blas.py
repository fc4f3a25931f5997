"""The threshold of FAISS is lowered while it helps, and is what it was afterwards."""

import threading

import faiss
import numpy as np
import pytest

from aisle.index.blas import FROM, matrix_product
from aisle.index.exact import ExactIndex
from aisle.index.settings import IndexSettings


@pytest.fixture
def threshold():
    """A value of its own, to be found again."""
    before = faiss.cvar.distance_compute_blas_threshold
    faiss.cvar.distance_compute_blas_threshold = 12_345
    yield 12_345
    faiss.cvar.distance_compute_blas_threshold = before


def now():
    return faiss.cvar.distance_compute_blas_threshold


def test_only_where_it_helps(threshold):
    with matrix_product(FROM - 1):
        assert now() == threshold
    with matrix_product(FROM):
        assert now() == 0
    assert now() == threshold


def test_after_an_error(threshold):
    with pytest.raises(KeyError), matrix_product(FROM):
        raise KeyError
    assert now() == threshold


def test_the_last_of_several_threads_restores_it(threshold):
    first_inside, second_inside, first_left = (threading.Event() for _ in range(3))

    def first():
        with matrix_product(FROM):
            first_inside.set()
            second_inside.wait(10)
        first_left.set()

    def second():
        first_inside.wait(10)
        with matrix_product(FROM):
            second_inside.set()
            first_left.wait(10)
            seen.append(now())

    seen: list[int] = []
    threads = [threading.Thread(target=work) for work in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [0]
    assert now() == threshold


def test_many_threads_search_alike(threshold):
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(500, 16)).astype(np.float32)
    index = ExactIndex(vectors, IndexSettings(device="cpu"))
    wanted = np.argsort(-(vectors @ vectors.T), axis=1)[:, :5]
    wrong = []

    def search(batch):
        for start in range(0, 500, batch):
            rows = index.search(vectors[start : start + batch], 5)[1]
            wrong.append((rows != wanted[start : start + batch]).sum())

    threads = [threading.Thread(target=search, args=(batch,)) for batch in (1, 3, 50, 500)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(wrong) == 0
    assert now() == threshold
