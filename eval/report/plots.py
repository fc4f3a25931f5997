"""Plots as SVG that takes its colours and its letters from the page around it.

Matplotlib draws with one placeholder colour per role; each is replaced by a CSS variable of the page, so
one drawing serves light and dark. Text stays text. Sizes are chosen for a phone; a wide page sets several
plots side by side.
"""

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape
from typing import Any, NamedTuple, cast

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

INK, MUTED, GRID = "#010101", "#010102", "#010103"
OURS, RIVAL, OTHER, PUBLISHED = "#010104", "#010105", "#010106", "#010107"
VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--line",
    OURS: "--ours",
    RIVAL: "--rival",
    OTHER: "--other",
    PUBLISHED: "--published",
}
"""The CSS variable behind each placeholder colour."""

WIDTH = 5.0
"""Inches; at 72 to the inch a plot is as wide as a phone, and its letters are as large as drawn."""

STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 10.5,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": INK,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "text.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.axisbelow": True,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}


class Dot(NamedTuple):
    """One row of a dot plot: a value, its interval if it has one, and the colour of its role."""

    label: str
    value: float
    low: float | None
    high: float | None
    colour: str


class Line(NamedTuple):
    """One line of a line plot; `low` and `high` make a band and may be empty."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    colour: str
    dashed: bool = False


def dots(rows: Sequence[Dot], *, name: str, axis: str, zero: bool = False) -> str:
    """Values with their intervals, one row each, the first at the top.

    Args:
        name: what a screen reader says, and the seed of the drawing's ids.
        axis: words below the axis.
        zero: mark 0, as for differences.
    """
    with _drawing(name, height=0.75 + 0.3 * len(rows)) as (axes, drawn):
        for place, row in enumerate(rows):
            if row.low is not None and row.high is not None:
                axes.plot([row.low, row.high], [place, place], color=row.colour, linewidth=2.2, alpha=0.55)
            hollow = row.colour == PUBLISHED
            axes.plot(
                [row.value],
                [place],
                marker="D" if hollow else "o",
                markersize=5.5 if hollow else 7,
                color=row.colour,
                markerfacecolor="none" if hollow else row.colour,
                linestyle="none",
            )
        axes.set_yticks(range(len(rows)), [row.label for row in rows])
        for label, row in zip(axes.get_yticklabels(), rows, strict=True):
            label.set_color({OTHER: INK, PUBLISHED: MUTED}.get(row.colour, row.colour))
            label.set_fontweight("bold" if row.colour == OURS else "normal")
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.grid(axis="x")
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.set_xlabel(axis)
        if zero:
            axes.axvline(0, color=MUTED, linewidth=1)
    return drawn[0]


def lines(series: Sequence[Line], *, name: str, axis: str, log: bool = False, from_zero: bool = True) -> str:
    """Lines over a shared axis, the important ones last (on top); ours and the rival carry bands.

    Args:
        name: what a screen reader says, and the seed of the drawing's ids.
        axis: words below the axis.
        log: equal steps of the axis are equal ratios.
        from_zero: the vertical axis begins at 0.
    """
    with _drawing(name, height=3.0) as (axes, drawn):
        for at, line in enumerate(series):
            strong = line.colour in (OURS, RIVAL)
            axes.plot(
                line.x,
                line.y,
                color=line.colour,
                linewidth=2.2 if strong else 1.1,
                linestyle="--" if line.dashed else "-",
                marker="o",
                markersize=4.5 if strong else 2.5,
                gid=f"line-{at}",
            )
            if strong and len(line.low):
                axes.fill_between(line.x, line.low, line.high, color=line.colour, alpha=0.16, linewidth=0)
        if log:
            axes.set_xscale("log")
        ticks = sorted({x for line in series for x in line.x})
        if log or len(ticks) <= 10:
            axes.xaxis.set_major_locator(FixedLocator(ticks))
            axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
        else:
            axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.tick_params(axis="y", length=0, labelcolor=MUTED)
        if from_zero:
            axes.set_ylim(bottom=0)
        axes.grid(axis="y")
        axes.set_xlabel(axis)
    return _titled(drawn[0], [line.label for line in series])


@contextmanager
def _drawing(name: str, height: float) -> Iterator[tuple[Axes, list[str]]]:
    """Axes to draw on, and a list that holds the SVG once the block is left."""
    drawn: list[str] = []
    with mpl.rc_context(cast(Any, {**STYLE, "svg.hashsalt": name})):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        yield figure.add_subplot(), drawn
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
        drawn.append(_for_page(buffer.getvalue(), name))


def _for_page(svg: str, name: str) -> str:
    """Strip what only a file of its own needs, and leave colours and letters to the page."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<style .*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r"font-family: [^;\"]*;? ?", "", svg)
    svg = re.sub(r'<g id="(?!line-)[^"]*"', "<g", svg)
    svg = svg.replace("<svg ", f'<svg role="img" aria-label="{escape(name)}" ', 1)
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    return svg.strip()


def _titled(svg: str, labels: Sequence[str]) -> str:
    """Give each line its name, which browsers show under the pointer."""
    for at, label in enumerate(labels):
        svg = svg.replace(f'<g id="line-{at}">', f"<g><title>{escape(label)}</title>")
    return svg
