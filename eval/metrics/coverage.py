"""Coverage: how much of the catalogue anybody gets to see."""

import numpy as np

from aisle.eval.judged import Judged


def coverage(judged: Judged, k: int) -> float:
    """Distinct items in the first k of all users, divided by the items of the catalogue; 0 to 1.

    Source: Ge, Delgado-Battenfeld and Jannach 2010, "Beyond Accuracy", catalogue coverage.
    """
    return float(np.count_nonzero(judged.exposure(k)) / judged.catalogue_size)
