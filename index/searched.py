"""The search that all kinds share: filters first, then enough candidates, then the cut to k."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from copy import copy

import faiss
import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

from aisle.index.base import Found, Index, Mask, Vectors
from aisle.index.devices import on_device
from aisle.index.errors import IndexFault
from aisle.index.filters import check_search, empty, unwanted, widths, without
from aisle.index.settings import IndexSettings, SearchSettings

GPU_WIDTH = 2048
"""Most results that FAISS selects on a GPU; wider searches run on the CPU."""

DROPPED = 256
"""A mask that drops no more rows than this counts as exclusions: they cost as many candidates."""

Queries = Float[NDArray[np.float32], "b dim"]
Rows = Int[NDArray[np.int64], " _"]


class FaissIndex(Index):
    """A FAISS index of inner products as an :class:`aisle.index.base.Index`.

    Args:
        index: trained and filled, on the CPU. It is never written to.
        settings: metric, device, and how hard to look.

    Raises:
        IndexFault: a GPU is asked for, and there is none or none for this kind.
    """

    def __init__(self, index: faiss.Index, settings: IndexSettings) -> None:
        self.faiss = index
        self.settings = settings
        self.placed = on_device(index, settings)

    def __len__(self) -> int:
        return int(self.faiss.ntotal)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self.faiss.d)

    @property
    def vectors(self) -> Vectors:
        """All item vectors as they are stored: of unit length under cosine, rounded where storage rounds."""
        stored: NDArray[np.float32] = self._source().reconstruct_n(0, len(self))
        return stored

    def reconstruct(self, rows: Int[NDArray[np.int64], " m"]) -> Float[NDArray[np.float32], "m dim"]:
        """The stored vectors of some rows.

        Raises:
            IndexFault: there is no such row.
        """
        if len(rows) and not (rows.min() >= 0 and rows.max() < len(self)):
            found = f"{rows.min()} to {rows.max()}"
            raise IndexFault(f"rows from 0 to {len(self) - 1}", found, "ask for rows of this index")
        stored: NDArray[np.float32] = self._source().reconstruct_batch(np.ascontiguousarray(rows, np.int64))
        return stored

    def with_effort(self, effort: SearchSettings) -> "FaissIndex":
        """The same index, looked through harder or less hard."""
        other = copy(self)
        other.settings = self.settings.model_copy(update={"search": effort})
        return other

    def search(
        self,
        queries: Float[NDArray[np.float32], "b dim"],
        k: int,
        exclude: Sequence[NDArray[np.int64]] | None = None,
        allow: Mask | None = None,
    ) -> Found:
        """The `k` best rows of each query, as :meth:`aisle.index.base.Index.search` promises."""
        check_search(queries, k, exclude, allow, (len(self), self.dim))
        asked = as_metric(queries, self.settings)
        excluded = unwanted(exclude, len(queries), len(self))
        if allow is None:
            return self._unfiltered(asked, k, excluded)
        if allow.ndim == 1:
            return self._allowed(asked, k, excluded, allow)
        return self._allowed_each(asked, k, excluded, allow)

    @abstractmethod
    def _source(self) -> faiss.Index:
        """The part of the index that gives vectors back by row."""

    @abstractmethod
    def _unfiltered(self, queries: Queries, k: int, exclude: Sequence[Rows]) -> Found:
        """Search among all rows but the excluded ones."""

    @abstractmethod
    def _masked(
        self, queries: Queries, k: int, exclude: Sequence[Rows], allow: Bool[NDArray[np.bool_], " n"]
    ) -> Found:
        """Search among the rows of a mask but the excluded ones."""

    def _allowed_each(
        self, queries: Queries, k: int, exclude: Sequence[Rows], allow: Bool[NDArray[np.bool_], "b n"]
    ) -> Found:
        scores, rows = empty(len(queries), k)
        for query in range(len(queries)):
            one = slice(query, query + 1)
            scores[one], rows[one] = self._allowed(queries[one], k, exclude[one], allow[query])
        return scores, rows

    def _allowed(
        self, queries: Queries, k: int, exclude: Sequence[Rows], allow: Bool[NDArray[np.bool_], " n"]
    ) -> Found:
        dropped = np.flatnonzero(~allow)
        if len(dropped) > DROPPED:
            return self._masked(queries, k, exclude, allow)
        return self._unfiltered(queries, k, [np.union1d(rows, dropped) for rows in exclude])


def widened(
    look: Callable[[Queries, int], Found],
    queries: Queries,
    k: int,
    exclude: Sequence[Rows],
    n: int,
    among: int,
) -> Found:
    """Ask `look` for as many candidates as exclusions may cost, and cut to `k` without them.

    Args:
        look: the best candidates of queries, so many of each.
        queries: float32 (b, dim).
        k: results wanted for each query.
        exclude: for each query, the rows that must not be returned.
        n: rows of the index.
        among: rows that `look` chooses from.
    """
    if k <= among and not any(len(rows) for rows in exclude):
        return look(queries, k)
    scores, rows = empty(len(queries), k)
    wide = widths(exclude, k, among)
    for width in np.unique(wide[wide > 0]):  # a single long history does not widen everybody's search
        chosen = np.flatnonzero(wide == width)
        found = look(np.ascontiguousarray(queries[chosen]), int(width))
        scores[chosen], rows[chosen] = without(found, [exclude[int(query)] for query in chosen], k, n)
    return scores, rows


def as_metric(vectors: Vectors, settings: IndexSettings) -> Vectors:
    """Contiguous vectors whose inner products are the metric: of unit length for cosine; zeros stay zeros."""
    ready = np.ascontiguousarray(vectors, np.float32)
    if settings.metric == "cosine":
        ready = ready.copy() if ready is vectors or ready.base is vectors else ready
        faiss.normalize_L2(ready)
    return ready


def check_vectors(vectors: Vectors) -> None:
    """Whether item vectors can be indexed.

    Raises:
        IndexFault: there are none, or NaN or infinity among them.
    """
    if vectors.ndim != 2 or not len(vectors):
        raise IndexFault("a matrix of item vectors", f"shape {vectors.shape}", "embed at least one item")
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        found = f"NaN or infinity in {int((~finite).sum())} of {len(vectors)}"
        raise IndexFault("finite item vectors", found, "retrain the towers")
