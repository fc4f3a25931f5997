"""An alarm for rankers that say the same of everything."""

import logging

import numpy as np

from aisle.data.ids import Rows
from aisle.ranker.lists import Floats

LOG = logging.getLogger(__name__)

SPREAD = 1e-4
"""Standard deviation within a list, in units of that of all scores, below which its order is chance."""

SHARE = 0.5
"""Share of such lists at which the alarm is raised."""


def constant_share(scores: Floats, owner: Rows) -> float:
    """Share of the lists of at least two items whose scores hardly differ.

    Args:
        scores: of pairs, float32 (pairs).
        owner: place of each pair's list, ascending, int64 (pairs).

    Returns:
        From 0 to 1; 0 where no list has two items.
    """
    sizes = np.bincount(owner)
    sums = np.bincount(owner, scores)
    squares = np.bincount(owner, scores.astype(np.float64) ** 2)
    longer = sizes > 1
    if not longer.any():
        return 0.0
    variance = squares[longer] / sizes[longer] - (sums[longer] / sizes[longer]) ** 2
    whole = float(np.std(scores.astype(np.float64)))
    spread = np.sqrt(np.maximum(variance, 0))
    return float((spread <= SPREAD * whole).mean()) if whole > 0 else 1.0


def warn_if_constant(scores: Floats, owner: Rows) -> bool:
    """Log a warning, and return True, where at least half of the lists hardly have an order."""
    share = constant_share(scores, owner)
    if share < SHARE:
        return False
    LOG.warning(
        "the ranker gives (nearly) the same score to all items of %.0f%% of the lists: what it reads does "
        "not tell them apart; check ranker.left_out, or train on more users",
        100 * share,
    )
    return True
