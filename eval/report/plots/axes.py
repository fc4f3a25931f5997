"""Scales from values to places, with ticks at round values."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from markupsafe import Markup

from aisle.eval.report.plots.svg import WIDTH, element, text

STEPS = (1, 2, 2.5, 5, 10)
"""Distances of ticks, times a power of ten."""


@dataclass(frozen=True)
class Scale:
    """Values from `low` to `high` as places from `start` to `end`; `log`: equal ratios are equally far."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """The place of a value; values beyond the ends stay at the ends."""
        low, high, value = (log10(one) if self.log else one for one in (self.low, self.high, value))
        share = (value - low) / (high - low) if high > low else 0.5
        return self.start + min(1.0, max(0.0, share)) * (self.end - self.start)


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round values from `low` to `high`, at most `most` of them.

    >>> ticks(0, 0.17, 5)
    [0.0, 0.05, 0.1, 0.15]
    """
    if not high > low:
        return [low]
    size = 10.0 ** floor(log10((high - low) / most))
    for step in (one * scale for scale in (size, 10 * size) for one in STEPS):
        first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
        if last - first + 1 <= most:
            break
    return [round(place * step, 12) for place in range(first, last + 1)]


def plain(values: Sequence[float]) -> Callable[[float], str]:
    """A way to write ticks: all with as many decimals as the finest one needs."""
    decimals = max((len(f"{value:.10f}".rstrip("0").partition(".")[2]) for value in values), default=0)
    return lambda value: f"{value:,.{decimals}f}"


def percent(values: Sequence[float]) -> Callable[[float], str]:
    """The same as shares of hundred."""
    write = plain([100 * value for value in values])
    return lambda value: f"{write(100 * value)}%"


def below(
    scale: Scale,
    values: Sequence[float],
    write: Callable[[float], str],
    *,
    top: float,
    bottom: float,
    said: str,
) -> Iterator[Markup]:
    """Grid lines from `top` to `bottom`, values below them, and words below these."""
    for value in values:
        x = scale(value)
        yield element("line", x1=x, x2=x, y1=top, y2=bottom, class_="grid")
        yield text(x, bottom + 15, write(value), anchor="middle")
    yield text((scale.start + scale.end) / 2, bottom + 31, said, anchor="middle", kind="axis")


def beside(
    scale: Scale, values: Sequence[float], write: Callable[[float], str], *, left: float, right: float
) -> Iterator[Markup]:
    """Grid lines from `left` to `right`, and values left of them."""
    for value in values:
        y = scale(value)
        yield element("line", x1=left, x2=right, y1=y, y2=y, class_="grid")
        yield text(left - 6, y + 3.5, write(value), anchor="end")


BELOW = 38
"""Room for what stands below the axes."""

ROOM = 0.46 * WIDTH
"""Room for names of rows, at most."""
