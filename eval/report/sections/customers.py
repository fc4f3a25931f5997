"""What buyers say: opinions that moved, and what is said of each aspect."""

from typing import Any

from aisle.eval.report.context import Customers, MovedOpinion
from aisle.eval.report.plots import Dot, Role, dots
from aisle.eval.report.sections.figure import Figure, Grid

SHOWN = 15
"""Rows of the plot and of the list of sentences; the table behind has all."""

LONGEST = 30
"""Letters of a name in the plot."""


def customers_parts(found: Customers) -> dict[str, Any]:
    """The plot, what moved with a sentence for each, the table of aspects, and the facts around them."""
    return {
        "about": found,
        "figure": _figure(found),
        "moved": [(name_of(row), row) for row in found.moved if row.moved][:SHOWN],
        "aspects": found.aspects,
    }


def name_of(row: MovedOpinion) -> str:
    """What a row is about, in words."""
    item = row.item.title if row.item else "all items"
    return f"{item}: {row.aspect}" if row.aspect else item


def _figure(found: Customers) -> Figure | None:
    if not found.moved:
        return None
    rows = [Dot(_cut(row), row.change, row.low, row.high, _role(row)) for row in found.moved[:SHOWN]]
    svg = dots(rows, name="Change of polarity", axis="change of polarity, 95% intervals", zero=True)
    cells = [
        [
            name_of(row),
            f"{row.change:+.2f}",
            f"{row.before:.2f} ({row.before_reviews:,})",
            f"{row.recent:.2f} ({row.recent_reviews:,})",
            f"{row.q:.3f}",
        ]
        for row in found.moved
    ]
    columns = ["about", "change", "before (reviews)", "lately (reviews)", "q"]
    key = [("rival", "fell"), ("ours", "rose"), ("other", "not beyond chance")]
    return Figure("What moved", svg, [Grid("", columns, cells)], key=key)


def _role(row: MovedOpinion) -> Role:
    if not row.moved:
        return "other"
    return "rival" if row.change < 0 else "ours"


def _cut(row: MovedOpinion) -> str:
    name = name_of(row)
    if len(name) <= LONGEST:
        return name
    end = f": {row.aspect}" if row.item and row.aspect else ""
    return name[: LONGEST - len(end) - 1].rstrip() + "…" + end
