"""Exhaustive search through some or all rows of a FAISS index, block by block."""

import faiss
import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

from aisle.index.base import NONE, Found
from aisle.index.blas import matrix_product
from aisle.index.filters import by_score, empty

BLOCK = 16_384
"""Rows decoded at a time: 24 MiB of 384 numbers."""


def scan(
    source: faiss.Index,
    queries: Float[NDArray[np.float32], "b dim"],
    k: int,
    rows: Int[NDArray[np.int64], " m"] | None = None,
) -> Found:
    """The `k` best of `rows`, or of all rows, by the inner product with the stored vectors.

    Memory beside the answer is that of one block, whatever the index and its storage.

    Args:
        source: an index that gives its vectors back by row.
        queries: float32 (b, dim).
        k: results wanted for each query.
        rows: distinct rows; None: all.
    """
    best = empty(len(queries), k)
    total = int(source.ntotal) if rows is None else len(rows)
    for start in range(0, total, BLOCK):
        size = min(BLOCK, total - start)
        part = np.arange(start, start + size) if rows is None else rows[start : start + size]
        if rows is None:
            vectors = source.reconstruct_n(start, size)
        else:
            vectors = source.reconstruct_batch(np.ascontiguousarray(part, np.int64))
        with matrix_product(len(queries)):
            scores, place = faiss.knn(queries, vectors, min(k, size), metric=faiss.METRIC_INNER_PRODUCT)
        found = np.where(place == NONE, NONE, part[place])
        best = _better(best, (scores, found), k)
    return best


def scan_each(
    source: faiss.Index,
    queries: Float[NDArray[np.float32], "b dim"],
    k: int,
    allow: Bool[NDArray[np.bool_], "b n"],
) -> Found:
    """The `k` best of the rows that each query may have, all products computed once for all queries.

    Args:
        source: an index that gives its vectors back by row.
        queries: float32 (b, dim).
        k: results wanted for each query.
        allow: bool (b, n): the rows that each query may have.
    """
    best = empty(len(queries), k)
    wanted = np.flatnonzero(allow.any(axis=0))
    for start in range(0, len(wanted), BLOCK):
        part = wanted[start : start + BLOCK]
        products = queries @ source.reconstruct_batch(part).T
        products[~allow[:, part]] = -np.inf
        place = np.argpartition(-products, min(k, len(part)) - 1, axis=1)[:, :k]
        scores = np.take_along_axis(products, place, axis=1)
        best = _better(best, (scores, np.where(np.isneginf(scores), NONE, part[place])), k)
    return best


Shorter = tuple[Float[NDArray[np.float32], "b _"], Int[NDArray[np.int64], "b _"]]
"""An answer of any length."""


def _better(first: Found, second: Shorter, k: int) -> Found:
    """The `k` best of two answers to the same queries."""
    scores, rows = by_score(
        np.concatenate([first[0], second[0]], axis=1), np.concatenate([first[1], second[1]], axis=1)
    )
    return np.ascontiguousarray(scores[:, :k]), np.ascontiguousarray(rows[:, :k])
