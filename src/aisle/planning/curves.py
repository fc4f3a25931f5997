"""From a few measured points to any size: sums of what the arithmetic takes, fitted."""

from collections.abc import Callable, Sequence
from math import log, log2

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from aisle.data.errors import InputError
from aisle.index.recipes import lists
from aisle.planning.figures import IndexFigures, IndexPoint, Point

Curve = Callable[[float], float]
"""Seconds by size."""

ROUNDS = 10
"""Of k-means, in FAISS."""

PER_LIST = 256
"""Training vectors for each list at most."""

CODE_ROUNDS, CODE_SAMPLE = 25, 256 * 256
"""Of the k-means of a product quantiser's codes: rounds, and training vectors at most."""

PLANNED = ("exact", "ivf_flat", "ivf_sq8", "ivf_sq4", "ivf_pq", "hnsw")
"""Kinds of index whose arithmetic is known here."""


def fitted(points: Sequence[Point], rows: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """Coefficients of the terms: least squares on relative errors, none below 0.

    None below 0, so that no size is foretold to take less than a smaller one where all terms rise.

    Args:
        points: what was measured.
        rows: for each of them, what its time is a weighted sum of.

    Raises:
        InputError: no point.
    """
    if not points:
        raise InputError("points that were measured", "none", "measure again with `aisle bench`")
    terms = np.array(rows)
    seconds = np.array([point.seconds for point in points])
    scale = terms.max(axis=0)
    scale[scale == 0] = 1.0
    weights, _ = nnls(terms / scale / seconds[:, None], np.ones(len(points)))
    coefficients: NDArray[np.float64] = weights / scale
    return coefficients


def seconds_of_text(points: Sequence[Point]) -> Curve:
    """Seconds of a text by its tokens: `a + b t + c t^2`, the square being attention's."""

    def terms(tokens: float) -> Sequence[float]:
        return (1.0, tokens, tokens**2)

    coefficients = fitted(points, [terms(point.size) for point in points])
    return lambda tokens: float(np.dot(terms(tokens), coefficients))


def seconds_of_build(figures: IndexFigures) -> Curve:
    """Seconds to build an index, by its items.

    `exact` copies; lists are found by k-means over 256 vectors a list, and every item is compared with each
    of them; codes are found on a sample that stops growing, and every item is coded; a graph takes a walk
    for each item.
    """
    rows = [_build_terms(figures, point.size, _lists(point)) for point in figures.builds]
    coefficients = fitted(figures.builds, rows)
    return lambda items: float(np.dot(_build_terms(figures, items, lists(int(items))), coefficients))


def seconds_of_query(figures: IndexFigures) -> Curve:
    """Seconds of a query in a batch, by the items: all, or lists and what is in visited ones, or a walk."""
    uneven = unevenness(figures)

    def terms(items: float, n_lists: int, nprobe: int, visited: float | None = None) -> Sequence[float]:
        if figures.kind == "exact":
            return (1.0, items)
        if figures.kind == "hnsw":
            return (1.0, _doublings(figures.searches, items))
        share = min(nprobe / n_lists, 1.0)
        visited = visited or share * items * (1 + uneven * log(1 / share))
        return (1.0, float(n_lists), share * n_lists, visited)

    rows = [
        terms(point.size, _lists(point), point.nprobe or figures.nprobe, point.visited)
        for point in figures.searches
    ]
    coefficients = fitted(figures.searches, rows)
    return lambda items: float(np.dot(terms(items, lists(int(items)), figures.nprobe), coefficients))


def unevenness(figures: IndexFigures) -> float:
    """The `c` of a share `f` of the lists, those nearest to a query, holding `f n (1 + c ln 1/f)` items.

    Queries fall where items are many and lists long; all lists hold `n`. Least squares; 0 where nothing was
    counted.
    """
    logs, more = [0.0], [0.0]
    for point in figures.searches:
        if point.visited and point.nprobe:
            share = min(point.nprobe / _lists(point), 1.0)
            logs.append(log(1 / share))
            more.append(point.visited / (share * point.size) - 1)
    return max(float(np.dot(logs, more) / max(np.dot(logs, logs), 1e-9)), 0.0)


def _lists(point: IndexPoint) -> int:
    return point.lists or lists(int(point.size))


def _doublings(points: Sequence[Point], items: float) -> float:
    """How often the smallest measured graph doubles to so many items.

    A walk takes so many steps more for each doubling, and each misses the caches more often. No line through
    `log n` with a start of 0 or more is as steep as that, so the smallest one is the start.
    """
    return max(log2(items / min(point.size for point in points)), 0.0)


def _build_terms(figures: IndexFigures, items: float, n_lists: int) -> Sequence[float]:
    if figures.kind == "exact":
        return (1.0, items)
    if figures.kind == "hnsw":
        return (items, items * _doublings(figures.builds, items))
    compared = items * n_lists + ROUNDS * min(items, PER_LIST * n_lists) * n_lists
    coded = CODE_ROUNDS * min(items, CODE_SAMPLE) if figures.kind == "ivf_pq" else 0
    return (items + coded, compared)
