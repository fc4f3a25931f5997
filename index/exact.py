"""Exact maximum inner product search with FAISS; unwanted items are left out before the cut to k."""

from collections.abc import Sequence

import faiss
import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray

from aisle.index import blas
from aisle.index.base import NONE, Found
from aisle.index.blas import matrix_product
from aisle.index.filters import by_score
from aisle.index.recipes import factory
from aisle.index.scan import scan, scan_each
from aisle.index.screen import Screen
from aisle.index.searched import (
    GPU_WIDTH,
    FaissIndex,
    Queries,
    Rows,
    as_metric,
    check_vectors,
    widened,
)
from aisle.index.settings import IndexSettings

__all__ = ["NONE", "ExactIndex"]


class ExactIndex(FaissIndex):
    """All inner products, on the CPU or on every GPU that FAISS finds; as one matrix product where faster.

    Where `settings.screen` is on, products of bytes sort most vectors out (:mod:`aisle.index.screen`).

    Args:
        vectors: item vectors, float32 (n, dim); row `i` answers as row `i`.
        settings: metric, storage, and where to search.

    Raises:
        IndexFault: no vectors, or NaN or infinity among them, or a GPU is asked for and there is none.
    """

    def __init__(self, vectors: Float[NDArray[np.float32], "n dim"], settings: IndexSettings) -> None:
        check_vectors(vectors)
        ready = as_metric(vectors, settings)
        recipe = factory("exact", len(ready), ready.shape[1], settings.storage)
        stored: faiss.Index = faiss.index_factory(vectors.shape[1], recipe, faiss.METRIC_INNER_PRODUCT)
        stored.train(ready)
        stored.add(ready)
        super().__init__(stored, settings)
        self._screen = _screen_of(stored, settings)

    @classmethod
    def of(cls, stored: faiss.Index, settings: IndexSettings) -> "ExactIndex":
        """Take over a flat or scalar-quantised FAISS index as it is."""
        index = cls.__new__(cls)
        FaissIndex.__init__(index, stored, settings)
        index._screen = _screen_of(stored, settings)
        return index

    def _source(self) -> faiss.Index:
        return self.faiss

    def _unfiltered(self, queries: Queries, k: int, exclude: Sequence[Rows]) -> Found:
        return widened(self._nearest, queries, k, exclude, len(self), len(self))

    def _masked(
        self, queries: Queries, k: int, exclude: Sequence[Rows], allow: Bool[NDArray[np.bool_], " n"]
    ) -> Found:
        rows = np.flatnonzero(allow)

        def look(some: Queries, width: int) -> Found:
            return scan(self.faiss, some, width, rows)

        return widened(look, queries, k, exclude, len(self), len(rows))

    def _allowed_each(
        self, queries: Queries, k: int, exclude: Sequence[Rows], allow: Bool[NDArray[np.bool_], "b n"]
    ) -> Found:
        left = allow.copy()
        for query, rows in enumerate(exclude):
            left[query, rows] = False
        return scan_each(self.faiss, queries, k, left)

    def _nearest(self, queries: Queries, width: int) -> Found:
        if self.placed is not self.faiss and width <= GPU_WIDTH:
            return by_score(*self.placed.search(queries, width))
        if len(queries) >= blas.FROM and not isinstance(self.faiss, faiss.IndexFlat):
            return scan(self.faiss, queries, width)  # decoded once for all queries
        if self._screen is not None and self._screen.fits(len(queries), width):
            (scores, rows), rest = self._screen.search(queries, width)
            if rest.any():
                scores[rest], rows[rest] = self._plainly(queries[rest], width)
            return scores, rows
        return self._plainly(queries, width)

    def _plainly(self, queries: Queries, width: int) -> Found:
        with matrix_product(len(queries)):
            found = self.faiss.search(queries, width)
        return by_score(*found)


def _screen_of(stored: faiss.Index, settings: IndexSettings) -> Screen | None:
    """Flat indices on a CPU may be screened."""
    flat = isinstance(stored, faiss.IndexFlat) and stored.metric_type == faiss.METRIC_INNER_PRODUCT
    return Screen(stored) if settings.screen and flat else None
