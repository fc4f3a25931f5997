"""Exact maximum inner product search with FAISS; unwanted items are left out before the cut to k."""

from collections.abc import Sequence

import faiss
import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from aisle.index.errors import IndexFault
from aisle.index.settings import IndexSettings

NONE = -1
"""Row that stands where no item is left."""

GPU_WIDTH = 2048
"""Most results that FAISS selects on a GPU; wider searches run on the CPU."""


class ExactIndex:
    """All inner products, on the CPU or on every GPU that FAISS finds.

    Args:
        vectors: item vectors, float32 (n, dim); row `i` answers as row `i`.
        settings: where to search.

    Raises:
        IndexFault: no vectors, or NaN or infinity among them, or a GPU is asked for and there is none.
    """

    def __init__(self, vectors: Float[NDArray[np.float32], "n dim"], settings: IndexSettings) -> None:
        if vectors.ndim != 2 or not len(vectors):
            raise IndexFault("a matrix of item vectors", f"shape {vectors.shape}", "embed at least one item")
        if not np.isfinite(vectors).all():
            bad = int((~np.isfinite(vectors).all(axis=1)).sum())
            raise IndexFault(
                "finite item vectors", f"NaN or infinity in {bad} of {len(vectors)}", "retrain the towers"
            )
        flat = faiss.IndexFlatIP(vectors.shape[1])
        flat.add(np.ascontiguousarray(vectors, np.float32))
        self._place(flat, settings)

    @classmethod
    def of(cls, flat: faiss.IndexFlatIP, settings: IndexSettings) -> "ExactIndex":
        """Take over a FAISS index as it is."""
        index = cls.__new__(cls)
        index._place(flat, settings)
        return index

    def _place(self, flat: faiss.IndexFlatIP, settings: IndexSettings) -> None:
        self.flat = flat
        self._search = on_device(flat, settings)

    def __len__(self) -> int:
        return int(self.flat.ntotal)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self.flat.d)

    @property
    def vectors(self) -> Float[NDArray[np.float32], "n dim"]:
        """The stored item vectors."""
        stored: NDArray[np.float32] = self.flat.reconstruct_n(0, len(self))
        return stored

    def search(
        self,
        queries: Float[NDArray[np.float32], "b dim"],
        k: int,
        exclude: Sequence[NDArray[np.int64]] | None = None,
    ) -> tuple[Float[NDArray[np.float32], "b k"], Int[NDArray[np.int64], "b k"]]:
        """The `k` best rows of each query, best first; among the found, equal scores by row.

        Args:
            queries: float32 (b, dim).
            k: results wanted for each query.
            exclude: for each query, the rows that must not be returned.

        Returns:
            Scores, float32 (b, k), and rows, int64 (b, k). Where fewer than `k` are left: -inf and `NONE`.

        Raises:
            IndexFault: `k` < 1, queries of another dimension or not finite, or not one exclusion a query.
        """
        if k < 1:
            raise IndexFault("k of at least 1", f"k = {k}", "ask for one result or more")
        if queries.ndim != 2 or queries.shape[1] != self.dim:
            raise IndexFault(
                f"queries of shape (b, {self.dim})", f"shape {queries.shape}", "use the index's own towers"
            )
        if not np.isfinite(queries).all():
            raise IndexFault("finite queries", "NaN or infinity", "retrain the towers")
        if exclude is not None and len(exclude) != len(queries):
            raise IndexFault(
                f"exclusions for {len(queries)} queries",
                f"{len(exclude)} of them",
                "give one array for each query",
            )
        scores = np.full((len(queries), k), -np.inf, np.float32)
        rows = np.full((len(queries), k), NONE, np.int64)
        unwanted = list(exclude) if exclude is not None else [np.empty(0, np.int64)] * len(queries)
        widths = np.minimum(len(self), k + _next_power_of_two([len(part) for part in unwanted]))
        for width in np.unique(widths):  # a single long history does not widen everybody's search
            chosen = np.flatnonzero(widths == width)
            found_scores, found = self._nearest(queries[chosen], int(width))
            kept = (found != NONE) & ~_members(found, [unwanted[int(query)] for query in chosen], len(self))
            place = np.cumsum(kept, axis=1) - 1
            query, column = np.nonzero(kept & (place < k))
            scores[chosen[query], place[query, column]] = found_scores[query, column]
            rows[chosen[query], place[query, column]] = found[query, column]
        return scores, rows

    def _nearest(
        self, queries: Float[NDArray[np.float32], "b dim"], width: int
    ) -> tuple[Float[NDArray[np.float32], "b w"], Int[NDArray[np.int64], "b w"]]:
        """FAISS's answer, equal scores in the order of their rows."""
        index = self._search if width <= GPU_WIDTH else self.flat
        scores, rows = index.search(np.ascontiguousarray(queries, np.float32), width)
        order = np.lexsort((rows, -scores), axis=1)
        return np.take_along_axis(scores, order, axis=1), np.take_along_axis(rows, order, axis=1)


def on_device(index: faiss.Index, settings: IndexSettings) -> faiss.Index:
    """The index itself, or its replica on all GPUs.

    Raises:
        IndexFault: a GPU is asked for and FAISS finds none.
    """
    gpus = faiss.get_num_gpus() if hasattr(faiss, "get_num_gpus") else 0
    if settings.device == "gpu" and not gpus:
        raise IndexFault(
            "a GPU for index.device = 'gpu'", "FAISS finds none", "set index.device to 'auto' or 'cpu'"
        )
    return faiss.index_cpu_to_all_gpus(index) if gpus and settings.device != "cpu" else index


def _members(
    found: Int[NDArray[np.int64], "b w"], exclude: Sequence[NDArray[np.int64]], n: int
) -> NDArray[np.bool_]:
    """Which of each query's found rows are among its excluded ones."""
    query = np.arange(len(found), dtype=np.int64)
    unwanted = np.repeat(query, [len(rows) for rows in exclude]) * n + np.concatenate(
        [*exclude, np.empty(0, np.int64)]
    )
    return np.isin(query[:, None] * n + found, unwanted)


def _next_power_of_two(sizes: list[int]) -> Int[NDArray[np.int64], " b"]:
    """The smallest power of two that is at least each size; 0 for 0."""
    return np.array([1 << (size - 1).bit_length() if size else 0 for size in sizes], np.int64)
