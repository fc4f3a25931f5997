"""Approximate search with any FAISS index; filters that it cannot serve are answered exactly."""

from collections.abc import Sequence
from threading import Lock
from typing import Any

import faiss
import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray

from aisle.index.base import NONE, Found
from aisle.index.filters import by_score
from aisle.index.knobs import parameters, selects
from aisle.index.scan import scan
from aisle.index.searched import GPU_WIDTH, FaissIndex, Queries, Rows, widened
from aisle.index.settings import IndexSettings

SCANNED = 0.02
"""Share of the rows up to which a mask is answered by looking at each of them, which is quick and exact."""

SCANNED_BY_GRAPH = 0.2
"""The same for a graph, which loses its way among rows that it must not return."""

LONG = 1024
"""More exclusions than this are kept out inside FAISS instead of by asking for more candidates."""


class ApproximateIndex(FaissIndex):
    """A trained and filled FAISS index of inner products, looked through as hard as the settings say.

    Where the candidates of a query run out before `k` of those that it may have, its rows are scanned one by
    one: a filter costs time, never results.
    """

    def __init__(self, index: faiss.Index, settings: IndexSettings) -> None:
        super().__init__(index, settings)
        self._lock = Lock()
        self._mapped = False

    def _source(self) -> faiss.Index:
        """Stored vectors by row: those for re-scoring, those under a graph, or the index itself.

        Inverted lists are told where each row is (8 bytes a row), once it matters.
        """
        whole: Any = self.faiss
        if isinstance(whole, faiss.IndexRefine):
            return whole.refine_index
        if isinstance(whole, faiss.IndexHNSW | faiss.IndexNSG):
            return whole.storage
        with self._lock:
            if not self._mapped:
                if (lists := faiss.try_extract_index_ivf(self.faiss)) is not None:
                    lists.make_direct_map()
                self._mapped = True
        return self.faiss

    def _unfiltered(self, queries: Queries, k: int, exclude: Sequence[Rows]) -> Found:
        if selects(self.faiss) and any(len(rows) > LONG for rows in exclude):
            return self._one_by_one(queries, k, exclude)
        found = widened(self._look, queries, k, exclude, len(self), len(self))
        return self._completed(found, queries, k, exclude, None)

    def _one_by_one(self, queries: Queries, k: int, exclude: Sequence[Rows]) -> Found:
        """Long exclusions as masks, of one query at a time."""
        answers = []
        for query, rows in enumerate(exclude):
            one = slice(query, query + 1)
            if len(rows) > LONG:
                allow = np.ones(len(self), np.bool_)
                allow[rows] = False
                answers.append(self._masked(queries[one], k, [rows[:0]], allow))
            else:
                answers.append(self._unfiltered(queries[one], k, exclude[one]))
        return np.concatenate([scores for scores, _ in answers]), np.concatenate(
            [rows for _, rows in answers]
        )

    def _masked(
        self, queries: Queries, k: int, exclude: Sequence[Rows], allow: Bool[NDArray[np.bool_], " n"]
    ) -> Found:
        rows = np.flatnonzero(allow)
        graph = isinstance(self.faiss, faiss.IndexHNSW)
        few = (SCANNED_BY_GRAPH if graph else SCANNED) * len(self)
        if len(rows) <= max(few, k) or not selects(self.faiss):
            return self._scanned(queries, k, exclude, rows)
        bits: Any = np.packbits(
            allow, bitorder="little"
        )  # FAISS's wrapper adds the length, its stub does not
        selector = faiss.IDSelectorBitmap(bits)

        def look(some: Queries, width: int) -> Found:
            return self._look(some, width, selector)

        found = widened(look, queries, k, exclude, len(self), len(rows))
        return self._completed(found, queries, k, exclude, rows)

    def _look(self, queries: Queries, width: int, selector: faiss.IDSelector | None = None) -> Found:
        """FAISS's answer; a GPU selects no rows, and not from many candidates."""
        small = width * self.settings.search.rescore <= GPU_WIDTH
        index = self.placed if selector is None and small else self.faiss
        knobs = parameters(self.faiss, self.settings.search, selector)
        return by_score(*index.search(queries, width, params=knobs))

    def _scanned(self, queries: Queries, k: int, exclude: Sequence[Rows], rows: Rows) -> Found:
        def look(some: Queries, width: int) -> Found:
            return scan(self._source(), some, width, rows)

        return widened(look, queries, k, exclude, len(self), len(rows))

    def _completed(
        self,
        found: Found,
        queries: Float[NDArray[np.float32], "b dim"],
        k: int,
        exclude: Sequence[Rows],
        allowed: Rows | None,
    ) -> Found:
        """The same answers, those scanned again that have fewer than `k` rows although there are more."""
        scores, rows = found
        if (rows[:, -1] != NONE).all():
            return found
        among = np.arange(len(self)) if allowed is None else allowed
        left = np.array([len(among) - len(np.intersect1d(among, some)) for some in exclude])
        short = np.flatnonzero((rows != NONE).sum(axis=1) < np.minimum(k, left))
        if len(short):
            scores[short], rows[short] = self._scanned(
                queries[short], k, [exclude[int(query)] for query in short], among
            )
        return scores, rows
