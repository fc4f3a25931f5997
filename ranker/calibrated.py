"""The ranker's scores as probabilities that the user takes the item next."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aisle.data.ids import Rows
from aisle.ranker.calibration import (
    Calibration,
    expected_calibration_error,
    fit_isotonic,
    fit_platt,
    reliability,
)
from aisle.ranker.lists import Floats

BINS = 50
"""Bins of the reliability table: most candidates are not taken, so that probabilities are small."""


def calibrate(scores: Floats, labels: NDArray[np.bool_], owner: Rows) -> tuple[Calibration, pl.DataFrame]:
    """The better of Platt's and the isotonic calibration, and how reliable it is on other users.

    Each is fitted on one half of the lists and judged by its calibration error on the other, both ways; what
    is returned is fitted on all of them.

    Args:
        scores: blended, of pairs by scorers that did not learn on them.
        labels: whether each pair was taken.
        owner: place of each pair's list.

    Returns:
        The calibration, and its reliability table (:func:`aisle.ranker.calibration.reliability`) on the
        halves it was not fitted on.

    Raises:
        InputError: the labels are all alike in one half.
    """
    half = owner % 2 == 0
    tried: list[tuple[float, Calibration, pl.DataFrame]] = []
    for fit in (fit_isotonic, fit_platt):
        found = np.empty(len(scores))
        for learned in (half, ~half):
            found[~learned] = fit(scores[learned], labels[learned])(scores[~learned])
        error = expected_calibration_error(found, labels, BINS)
        tried.append((error, fit(scores, labels), reliability(found, labels, BINS)))
    _, calibration, table = min(tried, key=lambda one: one[0])
    return calibration, table
