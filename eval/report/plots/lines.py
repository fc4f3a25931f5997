"""Lines over a shared axis; the important ones have bands and names at their ends."""

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from aisle.eval.report.plots.axes import BELOW, Scale, below, beside, percent, plain, ticks
from aisle.eval.report.plots.svg import WIDTH, Role, drawing, element, fitted, marked, path, text, width_of

HEIGHT, TOP = 170, 8
"""Of the room within the axes, and above it."""

APART = 13.0
"""Least distance of two names."""

ENDS = 0.3 * WIDTH
"""Room for names at the ends, at most."""

STRONG: tuple[Role, ...] = ("ours", "rival", "wanted")
"""Roles whose lines are thick, and have a band where they have an interval."""

DOTTED = 12
"""Points of a line, at most, that are marked."""


class Line(NamedTuple):
    """One line; `low` and `high` make a band and may be empty; `end` is written at its end."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    role: Role
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    dashed: bool = False
    end: str = ""


def lines(
    series: Sequence[Line],
    *,
    name: str,
    axis: str,
    log: bool = False,
    from_zero: bool = True,
    shares: bool = False,
) -> Markup:
    """Lines over a shared axis, the important ones last (on top).

    Args:
        series: what is drawn.
        name: what a screen reader says.
        axis: words below the axis.
        log: equal steps of the horizontal axis are equal ratios.
        from_zero: the vertical axis begins at 0.
        shares: both axes are shares, from 0 to 100%.
    """
    xs = sorted({value for line in series for value in line.x})
    ys = [value for line in series for value in (*line.y, *(line.high if line.role in STRONG else ()))]
    least, most = (0.0, 1.0) if shares else (0.0 if from_zero else min(ys), max(ys))
    pad = 0.0 if shares else (most - least or abs(most) or 1) * 0.04
    values = ticks(least if from_zero or shares else least - pad, most + pad, 5)
    write = percent(values) if shares else plain(values)
    left = max(width_of(write(value)) for value in values) + 10
    ends = [fitted(line.end, ENDS) for line in series if line.end]
    right = WIDTH - 8 - (max(map(width_of, ends)) + 4 if ends else 4)
    x = Scale(0.0 if shares else xs[0], 1.0 if shares else xs[-1], left + 4, right, log)
    y = Scale(least if from_zero or shares else least - pad, most + pad, TOP + HEIGHT, TOP)
    at = [0, 0.25, 0.5, 0.75, 1] if shares else xs if log else ticks(xs[0], xs[-1], 6)
    drawn = [*beside(y, values, write, left=left, right=right)]
    say = percent(at) if shares else plain(at)
    drawn += below(x, at, say, top=TOP + HEIGHT, bottom=TOP + HEIGHT, said=axis)
    drawn += [_line(line, x, y) for line in series]
    drawn += _ends([line for line in series if line.end], y, right + 6)
    return drawing(TOP + HEIGHT + BELOW, name, drawn)


def _line(line: Line, x: Scale, y: Scale) -> Markup:
    strong = line.role in STRONG
    places = [(x(one), y(other)) for one, other in zip(line.x, line.y, strict=True)]
    marks = [path(places, kind=f"line{' strong' if strong else ''}{' dashed' if line.dashed else ''}")]
    if strong and len(line.low):
        top = [(x(one), y(other)) for one, other in zip(line.x, line.high, strict=True)]
        bottom = [(x(one), y(other)) for one, other in zip(line.x, line.low, strict=True)]
        marks.insert(0, path([*top, *reversed(bottom)], kind="band", closed=True))
    if len(places) <= DOTTED:
        marks += [element("circle", cx=across, cy=down, r=2.6 if strong else 1.7) for across, down in places]
    return marked(line.role, line.label, *marks)


def _ends(series: Sequence[Line], y: Scale, left: float) -> list[Markup]:
    """Names right of the ends of lines, from the top, moved apart where they would meet."""
    drawn, last = [], -APART
    ordered = sorted(series, key=lambda line: -line.y[-1])
    lowest = TOP + HEIGHT
    for place, line in enumerate(ordered):
        room = lowest - APART * (len(ordered) - 1 - place)
        last = max(last + APART, min(y(line.y[-1]), room))
        drawn.append(text(left, last + 3.8, fitted(line.end, ENDS), kind=f"end {line.role}"))
    return drawn
