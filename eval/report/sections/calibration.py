"""Whether a probability of the ranker is what happens."""

from math import sqrt

from aisle.eval.report.context import Calibration
from aisle.eval.report.plots import Bin, reliability
from aisle.eval.report.sections.figure import Figure, Grid

Z = 1.96
"""Of a 95% interval."""

LEAST = 20
"""Pairs of a bin that is drawn; the table has all."""


def calibration_figure(found: Calibration) -> Figure:
    """Observed over predicted, with intervals of the shares."""
    drawn = [
        Bin(one.count, one.predicted, one.observed, *wilson(one.observed, one.count))
        for one in found.bins
        if one.count >= LEAST
    ]
    rows = [
        [f"{one.low:.0%} to {one.high:.0%}", f"{one.count:,}", f"{one.predicted:.2%}", f"{one.observed:.2%}"]
        for one in found.bins
    ]
    table = Grid("", ["probability", "pairs", "said, mean", "taken"], rows)
    note = f"On the dashed line, what {found.model} says is what happens. Larger dots are more pairs."
    svg = reliability(drawn, name="Probability that was said and share that was taken")
    return Figure(f"Said and taken, {found.of}", svg, [table], note)


def wilson(share: float, count: int) -> tuple[float, float]:
    """95% interval of a share of `count` cases.

    Source: Wilson 1927; Brown, Cai and DasGupta 2001, "Interval Estimation for a Binomial Proportion",
    section 3.1.1.

    >>> low, high = wilson(0.5, 4)
    >>> round(low, 3), round(high, 3)
    (0.15, 0.85)
    """
    middle = (share + Z**2 / (2 * count)) / (1 + Z**2 / count)
    half = Z / (1 + Z**2 / count) * sqrt(share * (1 - share) / count + Z**2 / (4 * count**2))
    return max(0.0, middle - half), min(1.0, middle + half)
