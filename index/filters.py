"""What a search must not return, checked, and the rows that are left of an answer."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

from aisle.index.base import NONE, Found
from aisle.index.errors import IndexFault

Candidates = tuple[Float[NDArray[np.float32], "b w"], Int[NDArray[np.int64], "b w"]]
"""Scores and rows of each query before the cut to k."""


def check_search(
    queries: NDArray[np.float32],
    k: int,
    exclude: Sequence[NDArray[np.int64]] | None,
    allow: NDArray[np.bool_] | None,
    shape: tuple[int, int],
) -> None:
    """Whether an index of `shape` (n, dim) can answer.

    Raises:
        IndexFault: it cannot.
    """
    n, dim = shape
    if k < 1:
        raise IndexFault("k of at least 1", f"k = {k}", "ask for one result or more")
    if queries.ndim != 2 or queries.shape[1] != dim:
        raise IndexFault(
            f"queries of shape (b, {dim})", f"shape {queries.shape}", "use the index's own towers"
        )
    if not np.isfinite(queries).all():
        raise IndexFault("finite queries", "NaN or infinity", "retrain the towers")
    if exclude is not None and len(exclude) != len(queries):
        raise IndexFault(
            f"exclusions for {len(queries)} queries",
            f"{len(exclude)} of them",
            "give one array for each query",
        )
    if allow is not None and (allow.dtype != np.bool_ or allow.shape not in ((n,), (len(queries), n))):
        raise IndexFault(
            f"a mask of shape ({n},) or ({len(queries)}, {n})",
            f"{allow.dtype} of shape {allow.shape}",
            "give one truth value for each row of the index",
        )


def unwanted(
    exclude: Sequence[NDArray[np.int64]] | None, queries: int, n: int
) -> list[Int[NDArray[np.int64], " _"]]:
    """The rows of `n` that each query must not be given, none where nothing is excluded."""
    if exclude is None:
        return [np.empty(0, np.int64)] * queries
    return [np.asarray(rows[(rows >= 0) & (rows < n)], np.int64) for rows in exclude]


def widths(exclude: Sequence[NDArray[np.int64]], k: int, n: int) -> Int[NDArray[np.int64], " b"]:
    """How many of `n` rows each query has to see, so that `k` are left without its excluded ones.

    Rounded up to powers of two (and 0), so that few searches of different width cover all queries.
    """
    sizes = [len(rows) for rows in exclude]
    extra = [1 << (size - 1).bit_length() if size else 0 for size in sizes]
    return np.minimum(n, k + np.array(extra, np.int64))


def without(found: Candidates, exclude: Sequence[NDArray[np.int64]], k: int, n: int) -> Found:
    """The first `k` of each answer that are not excluded; -inf and `NONE` where there are fewer."""
    scores, rows = found
    kept = (rows != NONE) & ~_members(rows, exclude, n)
    place = np.cumsum(kept, axis=1) - 1
    query, column = np.nonzero(kept & (place < k))
    left_scores, left = empty(len(rows), k)
    left_scores[query, place[query, column]] = scores[query, column]
    left[query, place[query, column]] = rows[query, column]
    return left_scores, left


def empty(queries: int, k: int) -> Found:
    """An answer without any row."""
    return np.full((queries, k), -np.inf, np.float32), np.full((queries, k), NONE, np.int64)


def by_score(scores: Float[NDArray[np.float32], "b w"], rows: Int[NDArray[np.int64], "b w"]) -> Found:
    """The same answers best first, equal scores in the order of their rows, places without a row last."""
    if (scores[:, 1:] < scores[:, :-1]).all() and (rows != NONE).all():
        return scores, rows  # as FAISS gives them nearly always: no score twice
    scores = np.where(rows == NONE, np.float32(-np.inf), scores)
    order = np.lexsort((rows, rows == NONE, -scores), axis=1)
    return np.take_along_axis(scores, order, axis=1), np.take_along_axis(rows, order, axis=1)


def _members(
    found: Int[NDArray[np.int64], "b w"], exclude: Sequence[NDArray[np.int64]], n: int
) -> Bool[NDArray[np.bool_], "b w"]:
    """Which of each query's found rows are among its excluded ones."""
    query = np.arange(len(found), dtype=np.int64)
    excluded = np.repeat(query, [len(rows) for rows in exclude]) * n + np.concatenate(
        [*exclude, np.empty(0, np.int64)]
    )
    return np.isin(query[:, None] * n + found, excluded)
