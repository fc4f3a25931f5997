"""What was foretold against what happened."""

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from aisle.eval.report.plots.axes import BELOW, Scale, below, beside, percent, ticks
from aisle.eval.report.plots.svg import WIDTH, drawing, element, marked, path, width_of

HEIGHT, TOP = 200, 8


class Bin(NamedTuple):
    """Cases with about one probability: how many, what was foretold, what happened, and its interval."""

    cases: int
    predicted: float
    observed: float
    low: float
    high: float


def reliability(bins: Sequence[Bin], *, name: str) -> Markup:
    """Observed over predicted; on the diagonal both are the same. Larger dots stand for more cases.

    Args:
        bins: of rising probability.
        name: what a screen reader says.
    """
    largest = max(one.cases for one in bins)
    end = min(1.0, max(max(one.predicted, one.high) for one in bins) * 1.05)
    values = ticks(0, end, 5)
    write = percent(values)
    left = max(width_of(write(value)) for value in values) + 10
    x, y = Scale(0, end, left, WIDTH - 12), Scale(0, end, TOP + HEIGHT, TOP)
    drawn = [*beside(y, values, write, left=left, right=WIDTH - 12)]
    drawn += below(x, values, write, top=TOP + HEIGHT, bottom=TOP + HEIGHT, said="probability that was said")
    drawn.append(path([(x(0), y(0)), (x(end), y(end))], kind="diagonal"))
    for one in bins:
        size = 2 + 5 * (one.cases / largest) ** 0.25
        said = f"said {one.predicted:.1%}, taken {one.observed:.1%} of {one.cases:,}"
        reach = path([(x(one.predicted), y(one.low)), (x(one.predicted), y(one.high))], kind="range")
        dot = element("circle", cx=x(one.predicted), cy=y(one.observed), r=size)
        drawn.append(marked("ours", said, reach, dot))
    return drawing(TOP + HEIGHT + BELOW, name, drawn)
