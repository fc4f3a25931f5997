"""FAISS's matrix product for small batches, too.

FAISS compares queries with a flat index one by one while `queries x dimension` is below
`faiss.cvar.distance_compute_blas_threshold` (128,000 in 1.15), and reads all vectors again for each. A matrix
product reads them once for all queries: faster from a few queries on, whatever their dimension.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

import faiss

FROM = 3
"""Queries from which on a matrix product is faster (`benchmarks/search_blas.py`)."""

_lock = Lock()
_inside = 0
_before = 0


@contextmanager
def matrix_product(queries: int) -> Iterator[None]:
    """Searches of flat indices inside are matrix products if there are at least `FROM` queries.

    The threshold is one variable of the whole process. The first thread inside lowers it, and the last
    restores it; other searches meanwhile may be faster, with results that differ by rounding at most.
    """
    if queries < FROM:
        yield
        return
    global _inside, _before
    with _lock:
        if not _inside:
            _before = faiss.cvar.distance_compute_blas_threshold
            faiss.cvar.distance_compute_blas_threshold = 0
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                faiss.cvar.distance_compute_blas_threshold = _before
