"""Gini index: how unevenly the places in the lists are shared out among the items."""

import numpy as np

from aisle.eval.judged import Judged


def gini(judged: Judged, k: int) -> float:
    """Gini index of the times that each item of the catalogue is shown in the first k of all users.

    `sum over items i = 1..n, by rising exposure x, of (2i - n - 1) x_i / ((n - 1) sum of x)`: 0 where all
    items are shown equally often or nothing is shown, 1 where one item takes every place.
    Source: Castells, Hurley and Vargas 2015, "Novelty and Diversity in Recommender Systems" (Gini index).
    """
    exposure = np.sort(judged.exposure(k)).astype(np.float64)
    n, total = judged.catalogue_size, exposure.sum()
    if total == 0 or n == 1:
        return 0.0
    places = np.arange(n - len(exposure) + 1, n + 1)
    return float(np.sum((2 * places - n - 1) * exposure) / ((n - 1) * total))
