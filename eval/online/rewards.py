"""Expected rewards of candidates, fitted on other users of the same log."""

import numpy as np
from numpy.typing import NDArray

from aisle.eval.online.estimate import Floats

FOLDS = 5
"""Parts of the users; what is expected of one is fitted on the other four."""

PRIOR = 10.0
"""Showings of the slot's mean reward that are added to those of an item."""

Codes = NDArray[np.int64]


def expected_rewards(
    slots: Codes, items: Codes, shown: Floats, rewards: Floats, folds: Codes, *, prior: float = PRIOR
) -> Floats:
    """Reward that each candidate would bring, float64 (n_candidates,): the item's mean in the slot, shrunken.

    `(sum of rewards + prior x mean of the slot) / (showings + prior)` over the other folds. Folds are parts
    of the users, so that nobody's own rewards have a part in what is expected of them (cross-fitting).
    Source: Chernozhukov, Chetverikov, Demirer, Duflo, Hansen, Newey and Robins 2018, "Double/debiased machine
    learning for treatment and structural parameters".

    Args:
        slots, items, folds: codes from 0, (n_candidates,) each.
        shown: 1 where the candidate was shown, else 0.
        rewards: of shown ones; others are not looked at.
        prior: in showings.
    """
    n_folds, n_slots, n_items = (int(codes.max()) + 1 for codes in (folds, slots, items))
    cells = (folds * n_slots + slots) * n_items + items
    shape = (n_folds, n_slots, n_items)
    size = n_folds * n_slots * n_items
    showings = np.bincount(cells, shown, size).reshape(shape)
    earned = np.bincount(cells, np.where(shown > 0, rewards, 0.0), size).reshape(shape)
    showings, earned = (whole.sum(axis=0) - whole for whole in (showings, earned))
    total, often = (whole.sum(axis=2, keepdims=True) for whole in (earned, showings))
    overall = np.divide(total, often, out=np.zeros_like(total), where=often > 0)
    means = (earned + prior * overall) / (showings + prior)
    return np.asarray(means.ravel()[cells])


def folds_of(n_users: int, *, seed: int, folds: int = FOLDS) -> Codes:
    """A fold for each user, int64 from 0 (n_users,), of equal size by chance."""
    return np.random.default_rng(seed).permutation(n_users) % folds
