"""How the model learned: a plot of each number of the learning curve, a line for each tower and phase."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup
from pydantic import JsonValue

from aisle.eval.report.plots import OTHER, OURS, PUBLISHED, RIVAL, Line, lines
from aisle.eval.report.schema import Report

ROLES = {"ours": OURS, "rival": RIVAL, "other": OTHER, "published": PUBLISHED}
"""Colours of towers (or, where there is one tower, of its phases), in their order."""

Row = Mapping[str, JsonValue]


def learning_plots(report: Report) -> list[dict[str, Any]]:
    """One plot a number, by epoch.

    Several towers have a colour each, and phases after a tower's first one are dashed; the phases of a single
    tower have a colour each.
    """
    rows = report.learning_curve
    names = dict.fromkeys(
        key for row in rows for key, value in row.items() if isinstance(value, float) and key != "epoch"
    )
    return [_plot(name, [row for row in rows if isinstance(row.get(name), float)]) for name in names]


def _plot(name: str, rows: Sequence[Row]) -> dict[str, Any]:
    series: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        series.setdefault((str(row.get("tower", "")), str(row.get("phase", ""))), []).append(row)
    towers = list(dict.fromkeys(tower for tower, _ in series))
    several = len(towers) > 1
    groups = towers if several else [phase for _, phase in series]
    roles = {group: list(ROLES)[min(place, len(ROLES) - 1)] for place, group in enumerate(groups)}
    first = dict(reversed(series))
    drawn = []
    for (tower, phase), points in series.items():
        label = " ".join(part for part in (tower, phase) if part) or name
        colour = ROLES[roles[tower if several else phase]]
        x = [_number(row.get("epoch", place)) for place, row in enumerate(points, 1)]
        y = [_number(row[name]) for row in points]
        drawn.append(Line(label, x, y, [], [], colour, several and phase != first[tower]))
    later = list(dict.fromkeys(phase for tower, phase in series if several and phase != first[tower]))
    axis = f"epoch (dashed: {', '.join(later)})" if later else "epoch"
    svg = lines(drawn[::-1], name=f"{name} by epoch", axis=axis, from_zero=False)
    key = [(role, group) for group, role in roles.items()]
    return {"name": name, "key": key if len(key) > 1 else [], "svg": Markup(svg)}


def _number(value: JsonValue) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
