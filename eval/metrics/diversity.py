"""Intra-list diversity: how different the items are that one user is shown together."""

from collections.abc import Sequence

import numpy as np

from aisle.eval.catalogue import Vectors
from aisle.eval.judged import Judged, UserScores


def diversity(judged: Judged, k: int) -> UserScores:
    """Mean of `1 - cosine` over all pairs of a user's first k items, float64 (n_users), 0 to 2.

    Cosines are those of the item vectors of the catalogue; items without a vector (outside the catalogue, or
    all zeros) are left out, and a user with fewer than two others scores 0. All pairs at once:
    `sum over pairs of cosine = (|sum of unit vectors|^2 - m) / 2` with m items.
    Source: Smyth and McClure 2001, "Similarity vs. Diversity"; Castells, Hurley and Vargas 2015 (average
    intra-list distance). Ziegler et al. 2005 sum similarities instead, so that there small is diverse.
    """
    return judged.at_cut_offs(_diversity, k)


def _diversity(judged: Judged, cut_offs: Sequence[int]) -> list[UserScores]:
    vectors = _unit(judged.vectors)
    known = np.any(vectors != 0, axis=1).astype(np.float64)
    lists = judged.lists
    kept = np.column_stack([lists.sums(known[lists.items], k) for k in cut_offs])
    squares = np.empty(kept.shape)
    for users, sums in lists.sums_of_first(cut_offs, vectors):
        squares[users] = np.einsum("ukd,ukd->uk", sums, sums, dtype=np.float64)
    distances = np.where(kept > 1, 1 - (squares - kept) / np.maximum(kept * (kept - 1), 1), 0.0)
    return [*distances.T]


def _unit(vectors: Vectors) -> Vectors:
    """The same at length 1; zeros stay."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Vectors = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return unit
