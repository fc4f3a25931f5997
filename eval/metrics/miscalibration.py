"""Miscalibration: how far the categories in a list are from what its user cared for."""

import numpy as np
from scipy import sparse

from aisle.eval.judged import Judged, UserScores

ALPHA = 0.01
"""Part of the user's own shares that is mixed into those of the list, so that none is 0."""


def miscalibration(judged: Judged, k: int) -> UserScores:
    """`sum over categories c of p(c) log(p(c) / q'(c))` in nats, float64 (n_users); 0 is calibrated.

    p are the shares of categories in the user's past, q those in the first k, and
    `q' = (1 - alpha) q + alpha p` with alpha = 0.01; an item deals out its weight evenly among its
    categories. Without results q is 0 and the value -log(alpha), the largest; a user in whose past no item
    has a category scores 0.
    Source: Steck 2018, "Calibrated Recommendations", equations 2 to 5, with all weights of items 1.
    """
    profiles = judged.known_profiles
    p = profiles.shares if judged.of is None else profiles.shares[judged.of]
    lists = judged.lists.first(k)
    assert judged.rows is not None
    rows = judged.rows[lists.items]
    kept = rows >= 0
    offsets = np.append(0, np.cumsum(kept))[lists.offsets]
    shown = sparse.csr_array(
        (np.ones(np.count_nonzero(kept)), rows[kept], offsets), (len(lists), profiles.items.shape[0])
    )
    q = sparse.diags_array(1 / np.maximum(lists.sizes, 1)) @ shown @ profiles.items
    return _divergence(p, q)


def _divergence(p: sparse.csr_array, q: sparse.csr_array) -> UserScores:
    """Kullback-Leibler divergence of each row of `q` from `p`, over the entries of `p`."""
    cared = p.copy()
    cared.data[:] = 1
    mixed = ((1 - ALPHA) * q + ALPHA * p) * cared
    p.sort_indices()
    mixed.sort_indices()
    terms = p.data * np.log(p.data / mixed.data)
    owners = np.repeat(np.arange(p.shape[0]), np.diff(p.indptr))
    return np.bincount(owners, terms, minlength=p.shape[0]).astype(np.float64, copy=False)
