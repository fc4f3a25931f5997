"""Values with their intervals, one row each."""

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from aisle.eval.report.plots.axes import BELOW, ROOM, Scale, below, plain, ticks
from aisle.eval.report.plots.svg import WIDTH, Role, drawing, element, fitted, marked, path, text, width_of

ROW, TOP = 22, 4


class Dot(NamedTuple):
    """One row: a value, its interval if it has one, and what it is."""

    label: str
    value: float
    low: float | None
    high: float | None
    role: Role


def dots(rows: Sequence[Dot], *, name: str, axis: str, zero: bool = False) -> Markup:
    """Rows of values, the first at the top.

    Args:
        rows: published ones are hollow diamonds.
        name: what a screen reader says.
        axis: words below the axis.
        zero: mark 0, as for differences.
    """
    left = min(ROOM, max(width_of(row.label) for row in rows)) + 14
    bottom = TOP + ROW * len(rows)
    ends = [end for row in rows for end in (row.value, row.low, row.high) if end is not None]
    low, high = min([*ends, 0] if zero else ends), max([*ends, 0] if zero else ends)
    pad = (high - low or abs(high) or 1) * 0.04
    x = Scale(low - pad, high + pad, left, WIDTH - 10)
    values = ticks(low - pad, high + pad, 4)
    drawn = [*below(x, values, plain(values), top=TOP, bottom=bottom, said=axis)]
    if zero:
        drawn.append(element("line", x1=x(0), x2=x(0), y1=TOP, y2=bottom, class_="zero"))
    for place, row in enumerate(rows):
        y = TOP + ROW * (place + 0.5)
        drawn.append(text(left - 10, y + 3.8, fitted(row.label, ROOM), anchor="end", kind=f"row {row.role}"))
        drawn.append(marked(row.role, _said(row), *_marks(row, x, y)))
    return drawing(bottom + BELOW, name, drawn)


def _marks(row: Dot, x: Scale, y: float) -> list[Markup]:
    if row.role == "published":
        at = x(row.value)
        return [path([(at - 4, y), (at, y - 4), (at + 4, y), (at, y + 4)], kind="hollow", closed=True)]
    marks = [element("circle", cx=x(row.value), cy=y, r=4.5 if row.role == "ours" else 4)]
    if row.low is not None and row.high is not None:
        marks.insert(0, path([(x(row.low), y), (x(row.high), y)], kind="range"))
    return marks


def _said(row: Dot) -> str:
    if row.low is None or row.high is None:
        return f"{row.label}: {row.value:.4f}"
    return f"{row.label}: {row.value:.4f}, {row.low:.4f} to {row.high:.4f}"
