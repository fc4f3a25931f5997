"""A number with its standard error, and the interval that follows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from aisle.data.errors import InputError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A mean, or whatever else has nearly normal errors.

    Attributes:
        value: the estimate.
        error: its standard error.
        freedom: degrees of freedom of that error; infinite for the normal distribution.
    """

    value: float
    error: float
    freedom: float = float("inf")

    def interval(self, confidence: float) -> tuple[float, float]:
        """Two-sided interval of Student's t (of the normal distribution where `freedom` is infinite)."""
        radius = float(stats.t.ppf((1 + confidence) / 2, self.freedom)) * self.error
        return self.value - radius, self.value + radius

    @property
    def p(self) -> float:
        """Two-sided p-value of the hypothesis that the truth is 0; 1 where value and error are both 0."""
        if self.error == 0:
            return 1.0 if self.value == 0 else 0.0
        return float(2 * stats.t.sf(abs(self.value) / self.error, self.freedom))


def mean_of_units(totals: Floats, counts: Floats) -> Estimate:
    """Mean over all draws of units that hold several, such as the requests of a user.

    Args:
        totals: sum of the values of each unit, (n_units,).
        counts: how many values those are, (n_units,).

    Units are independent, the values of one are not: its deviation `total - mean x count` counts once
        (linearisation of a ratio).
    Source: Deng, Knoblich and Lu 2018, "Applying the Delta Method in Metric Analytics", section 3.

    Raises:
        InputError: fewer than two units.
    """
    n_units = len(totals)
    if n_units < 2:
        raise InputError("two independent units or more", f"{n_units}", "collect more before asking")
    value = totals.sum() / counts.sum()
    deviations = totals - value * counts
    error = np.sqrt((deviations**2).sum() * n_units / (n_units - 1)) / counts.sum()
    return Estimate(float(value), float(error), n_units - 1)
