"""Miscalibration: how far the categories in a list are from what its user cared for."""

from collections.abc import Sequence

import numpy as np

from aisle.eval.judged import Judged, UserScores

ALPHA = 0.01
"""Part of the user's own shares that is mixed into those of the list, so that none is 0."""

CATEGORIES_AT_ONCE = 256
"""Categories that are counted together."""


def miscalibration(judged: Judged, k: int) -> UserScores:
    """`sum over categories c of p(c) log(p(c) / q'(c))` in nats, float64 (n_users); 0 is calibrated.

    p are the shares of categories in the user's past, q those in the first k, and
    `q' = (1 - alpha) q + alpha p` with alpha = 0.01; an item deals out its weight evenly among its
    categories. Without results q is 0 and the value -log(alpha), the largest; a user in whose past no item
    has a category scores 0.
    Source: Steck 2018, "Calibrated Recommendations", equations 2 to 5, with all weights of items 1.
    """
    return judged.at_cut_offs(_miscalibration, k)


def _miscalibration(judged: Judged, cut_offs: Sequence[int]) -> list[UserScores]:
    profiles, lists, rows = judged.known_profiles, judged.lists, judged.known_rows
    p = profiles.shares if judged.of is None else profiles.shares[judged.of]
    owners = np.repeat(np.arange(p.shape[0]), np.diff(p.indptr))
    q = np.zeros((len(p.data), len(cut_offs)))
    for first in range(0, p.shape[1], CATEGORIES_AT_ONCE):
        last = min(first + CATEGORIES_AT_ONCE, p.shape[1])
        shares = np.where(rows[:, None] >= 0, profiles.items[:, first:last].toarray()[rows], 0)
        here = np.flatnonzero((p.indices >= first) & (p.indices < last))
        for users, sums in lists.sums_of_first(cut_offs, shares):
            some = here[
                np.searchsorted(owners[here], users.start) : np.searchsorted(owners[here], users.stop)
            ]
            q[some] = sums[owners[some] - users.start, :, p.indices[some] - first]
    shown = np.column_stack([lists.shown(k) for k in cut_offs])
    mixed = (1 - ALPHA) * q / np.maximum(shown, 1)[owners] + ALPHA * p.data[:, None]
    terms = p.data[:, None] * np.log(p.data[:, None] / mixed)
    return [
        np.bincount(owners, of_k, minlength=p.shape[0]).astype(np.float64, copy=False) for of_k in terms.T
    ]
