"""Intra-list diversity: how different the items are that one user is shown together."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from aisle.eval.catalogue import Vectors
from aisle.eval.judged import Judged, UserScores

USERS_AT_ONCE = 4096
"""Users whose sums of vectors are in memory together."""


def diversity(judged: Judged, k: int) -> UserScores:
    """Mean of `1 - cosine` over all pairs of a user's first k items, float64 (n_users), 0 to 2.

    Cosines are those of the item vectors of the catalogue; items without a vector (outside the catalogue, or
    all zeros) are left out, and a user with fewer than two others scores 0. All pairs at once:
    `sum over pairs of cosine = (|sum of unit vectors|^2 - m) / 2` with m items.
    Source: Smyth and McClure 2001, "Similarity vs. Diversity"; Castells, Hurley and Vargas 2015 (average
    intra-list distance). Ziegler et al. 2005 sum similarities instead, so that there small is diverse.
    """
    vectors = _unit(judged.vectors)
    known: NDArray[np.bool_] = np.any(vectors != 0, axis=1)
    lists = judged.lists.first(k)
    kept = lists.means(known[lists.items].astype(np.float64), k) * lists.sizes
    squares = np.empty(len(lists))
    for start in range(0, len(lists), USERS_AT_ONCE):
        offsets = lists.offsets[start : start + USERS_AT_ONCE + 1]
        columns = lists.items[offsets[0] : offsets[-1]]
        shown = sparse.csr_array(
            (np.ones(len(columns), np.float32), columns, offsets - offsets[0]),
            (len(offsets) - 1, len(vectors)),
        )
        sums = shown @ vectors
        squares[start : start + USERS_AT_ONCE] = np.einsum("ij,ij->i", sums, sums, dtype=np.float64)
    pairs = np.maximum(kept * (kept - 1), 1)
    return np.where(kept > 1, 1 - (squares - kept) / pairs, 0.0)


def _unit(vectors: Vectors) -> Vectors:
    """The same at length 1; zeros stay."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Vectors = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return unit
