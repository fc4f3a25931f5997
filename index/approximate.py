"""Approximate search with any FAISS index; filters that it cannot serve are answered exactly."""

from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any

import faiss
import numpy as np
from jaxtyping import Bool, Int
from numpy.typing import NDArray

from aisle.index.base import NONE, Found
from aisle.index.filters import by_score
from aisle.index.knobs import harder, parameters, selects
from aisle.index.scan import scan
from aisle.index.searched import GPU_WIDTH, FaissIndex, Queries, Rows, widened
from aisle.index.settings import IndexSettings, SearchSettings

SCANNED = 0.02
"""Share of the rows up to which a mask is answered by looking at each of them, which is quick and exact."""

SCANNED_BY_GRAPH = 0.2
"""The same for a graph, which loses its way among rows that it must not return."""

LONG = 1024
"""More exclusions than this are kept out inside FAISS instead of by asking for more candidates."""


class ApproximateIndex(FaissIndex):
    """A trained and filled FAISS index of inner products, looked through as hard as the settings say.

    Where the candidates of a query run out before `k` of those that it may have, it is looked for harder, and
    in the end row by row: a filter costs time, never results.
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
        return self._looked(queries, k, exclude, None)

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
        kept = int(np.count_nonzero(allow))
        graph = isinstance(self.faiss, faiss.IndexHNSW)
        few = (SCANNED_BY_GRAPH if graph else SCANNED) * len(self)
        if kept <= max(few, k) or not selects(self.faiss):
            return self._scanned(queries, k, exclude, np.flatnonzero(allow))
        return self._looked(queries, k, exclude, allow)

    def _looked(
        self, queries: Queries, k: int, exclude: Sequence[Rows], allow: Bool[NDArray[np.bool_], " n"] | None
    ) -> Found:
        """Look as hard as the settings say, and harder for queries that get fewer rows than there are."""
        among = len(self) if allow is None else int(np.count_nonzero(allow))
        effort = self.settings.search
        scores, rows = widened(self._look(effort, allow), queries, k, exclude, len(self), among)
        short = _short(rows, k, exclude, allow, len(self))
        while len(short):
            some = [exclude[int(query)] for query in short]
            more = harder(self.faiss, effort, k)
            if more is None:
                left = np.arange(len(self)) if allow is None else np.flatnonzero(allow)
                scores[short], rows[short] = self._scanned(queries[short], k, some, left)
                break
            effort = more
            look = self._look(effort, allow)
            scores[short], rows[short] = widened(look, queries[short], k, some, len(self), among)
            short = short[_short(rows[short], k, some, allow, len(self))]
        return scores, rows

    def _look(
        self, effort: SearchSettings, allow: Bool[NDArray[np.bool_], " n"] | None
    ) -> Callable[[Queries, int], Found]:
        """FAISS's answer with an effort; a GPU selects no rows, and not from many candidates."""
        selector = None
        if allow is not None:
            bits: Any = np.packbits(allow, bitorder="little")
            selector = faiss.IDSelectorBitmap(bits)
        knobs = parameters(self.faiss, effort, selector)

        def look(queries: Queries, width: int) -> Found:
            small = width * effort.rescore <= GPU_WIDTH
            index = self.placed if selector is None and small else self.faiss
            return by_score(*index.search(queries, width, params=knobs))

        return look

    def _scanned(self, queries: Queries, k: int, exclude: Sequence[Rows], rows: Rows) -> Found:
        def look(some: Queries, width: int) -> Found:
            return scan(self._source(), some, width, rows)

        return widened(look, queries, k, exclude, len(self), len(rows))


def _short(
    rows: Int[NDArray[np.int64], "b k"],
    k: int,
    exclude: Sequence[Rows],
    allow: Bool[NDArray[np.bool_], " n"] | None,
    n: int,
) -> Int[NDArray[np.int64], " short"]:
    """Queries that have fewer than `k` rows although more are left for them."""
    found = (rows != NONE).sum(axis=1)
    short = np.flatnonzero(found < k)
    if not len(short):
        return short
    kept = np.ones(n, np.bool_) if allow is None else allow
    taken = np.array([np.count_nonzero(kept[np.unique(exclude[int(query)])]) for query in short])
    missing = found[short] < np.minimum(k, np.count_nonzero(kept) - taken)
    return short[np.flatnonzero(missing)]
