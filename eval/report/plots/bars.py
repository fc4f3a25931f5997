"""Groups of bars with intervals: a few models on each part of the truth."""

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from aisle.eval.report.plots.axes import BELOW, ROOM, Scale, below, plain, ticks
from aisle.eval.report.plots.svg import WIDTH, Role, drawing, element, fitted, marked, path, text, width_of

THICK, BETWEEN, TOP = 10, 12, 2


class Bar(NamedTuple):
    """A value of one model, with its interval if it has one."""

    label: str
    value: float
    low: float | None
    high: float | None
    role: Role


class Group(NamedTuple):
    """Bars of one part, its name, and what stands small below the name."""

    label: str
    note: str
    bars: Sequence[Bar]


def bars(groups: Sequence[Group], *, name: str, axis: str) -> Markup:
    """Groups of horizontal bars from 0, the first at the top.

    Args:
        groups: each with one bar a model, in the same order.
        name: what a screen reader says.
        axis: words below the axis.
    """
    tall = max(THICK * max(len(group.bars) for group in groups), 24) + BETWEEN
    left = min(ROOM, max(width_of(said) for group in groups for said in (group.label, group.note))) + 12
    bottom = TOP + tall * len(groups)
    most = max(bar.value if bar.high is None else bar.high for group in groups for bar in group.bars) or 1.0
    x = Scale(0, most * 1.03, left, WIDTH - 10)
    values = ticks(0, most * 1.03, 4)
    drawn = [*below(x, values, plain(values), top=TOP, bottom=bottom, said=axis)]
    for row, group in enumerate(groups):
        middle = TOP + tall * (row + 0.5)
        drawn.append(text(left - 8, middle - 1.5, fitted(group.label, ROOM), anchor="end", kind="row"))
        drawn.append(text(left - 8, middle + 10.5, fitted(group.note, ROOM), anchor="end", kind="tick small"))
        first = middle - THICK * len(group.bars) / 2
        drawn += [_bar(group, bar, x, first + THICK * place) for place, bar in enumerate(group.bars)]
    return drawing(bottom + BELOW, name, drawn)


def _bar(group: Group, bar: Bar, x: Scale, top: float) -> Markup:
    said = f"{bar.label}, {group.label}: {bar.value:.4f}"
    body = element("rect", x=x(0), y=top + 1, width=max(x(bar.value) - x(0), 1), height=THICK - 2, rx=1.5)
    if bar.low is None or bar.high is None:
        return marked(bar.role, said, body)
    middle = top + THICK / 2
    reach = path([(x(bar.low), middle), (x(bar.high), middle)], kind="whisker")
    return marked(bar.role, f"{said}, {bar.low:.4f} to {bar.high:.4f}", body, reach)
