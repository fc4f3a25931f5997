"""From a few measured points to any size: sums of what the arithmetic takes, fitted."""

from collections.abc import Callable, Sequence
from math import log2

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from aisle.data.errors import InputError
from aisle.index.recipes import lists
from aisle.planning.figures import IndexFigures, Point

Terms = Callable[[float], Sequence[float]]
"""What the time of a size is a weighted sum of."""

ROUNDS = 10
"""Of k-means, in FAISS."""

PER_LIST = 256
"""Training vectors for each list at most."""

CODE_ROUNDS, CODE_SAMPLE = 25, 256 * 256
"""Of the k-means of a product quantiser's codes: rounds, and training vectors at most."""

PLANNED = ("exact", "ivf_flat", "ivf_sq8", "ivf_sq4", "ivf_pq", "hnsw")
"""Kinds of index whose arithmetic is known here."""


def fitted(points: Sequence[Point], terms: Terms) -> Callable[[float], float]:
    """Seconds by size: least squares on relative errors, no coefficient below 0.

    None below 0, so that no size is foretold to take less than a smaller one where all terms rise.

    Raises:
        InputError: no point.
    """
    if not points:
        raise InputError("points that were measured", "none", "measure again with `aisle bench`")
    rows = np.array([terms(point.size) for point in points])
    seconds = np.array([point.seconds for point in points])
    scale = rows.max(axis=0)
    scale[scale == 0] = 1.0
    weights, _ = nnls(rows / scale / seconds[:, None], np.ones(len(points)))
    coefficients: NDArray[np.float64] = weights / scale
    return lambda size: float(np.dot(terms(size), coefficients))


def seconds_of_text(points: Sequence[Point]) -> Callable[[float], float]:
    """Seconds of a text by its tokens: `a + b t + c t^2`, the square being attention's."""
    return fitted(points, lambda tokens: (1.0, tokens, tokens**2))


def seconds_of_build(figures: IndexFigures) -> Callable[[float], float]:
    """Seconds to build an index, by its items.

    `exact` copies; lists are found by k-means over 256 vectors a list, and every item is compared with each
    of them; a graph takes a walk for each item, which grows with the logarithm.
    """
    return fitted(figures.builds, _build_terms(figures.kind))


def seconds_of_query(figures: IndexFigures) -> Callable[[float], float]:
    """Seconds of a query in a batch, by the items: all, or lists and what is in visited ones, or a walk.

    A walk in a graph has log n steps, each of which misses the caches more often in a larger one.
    """
    return fitted(figures.searches, _query_terms(figures.kind, figures.nprobe))


def _build_terms(kind: str) -> Terms:
    if kind == "exact":
        return lambda items: (1.0, items)
    if kind == "hnsw":
        return lambda items: (items, items * log2(max(items, 2)))

    def terms(items: float) -> Sequence[float]:
        n_lists = lists(int(items))
        training = ROUNDS * min(items, PER_LIST * n_lists) * n_lists
        coding = CODE_ROUNDS * min(items, CODE_SAMPLE) + items if kind == "ivf_pq" else items
        return (1.0, coding, items * n_lists + training)

    return terms


def _query_terms(kind: str, nprobe: int) -> Terms:
    if kind == "exact":
        return lambda items: (1.0, items)
    if kind == "hnsw":
        return lambda items: (1.0, log2(max(items, 2)), log2(max(items, 2)) ** 2)

    def terms(items: float) -> Sequence[float]:
        n_lists = lists(int(items))
        return (1.0, float(n_lists), min(nprobe / n_lists, 1.0) * items)

    return terms
