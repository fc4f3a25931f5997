"""How the models learned: a plot of each number of a learning curve, a line for each tower and phase."""

from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from aisle.eval.report.plots import Line, Role, lines
from aisle.eval.report.schema import Report
from aisle.eval.report.sections.background import text_of
from aisle.eval.report.sections.figure import Figure, Grid

ORDER: tuple[Role, ...] = ("ours", "rival", "other", "published")
"""Roles of towers (or, where there is one tower, of its phases), in their order."""

Row = Mapping[str, JsonValue]


def learning(report: Report) -> list[Figure]:
    """One plot a number, by epoch; of stages that made the language model first.

    Several towers have a colour each, and phases after a tower's first one are dashed; the phases of a single
    tower have a colour each.
    """
    made = [
        figure
        for stage, rows in report.language_model_curves.items()
        for figure in _figures(rows, f"{stage}: ")
    ]
    return [*made, *_figures(report.learning_curve, "")]


def _figures(rows: Sequence[Row], before: str) -> list[Figure]:
    names = dict.fromkeys(
        key for row in rows for key, value in row.items() if isinstance(value, float) and key != "epoch"
    )
    return [
        _figure(name, [row for row in rows if isinstance(row.get(name), float)], before) for name in names
    ]


def _figure(name: str, rows: Sequence[Row], before: str) -> Figure:
    series: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        series.setdefault((str(row.get("tower", "")), str(row.get("phase", ""))), []).append(row)
    towers = list(dict.fromkeys(tower for tower, _ in series))
    several = len(towers) > 1
    groups = towers if several else [phase for _, phase in series]
    roles = {group: ORDER[min(place, len(ORDER) - 1)] for place, group in enumerate(groups)}
    first = dict(reversed(series))
    drawn = []
    for (tower, phase), points in series.items():
        label = " ".join(part for part in (tower, phase) if part) or name
        x = [_number(row.get("epoch", place)) for place, row in enumerate(points, 1)]
        y = [_number(row[name]) for row in points]
        dashed = several and phase != first[tower]
        drawn.append(Line(label, x, y, roles[tower if several else phase], dashed=dashed))
    later = list(dict.fromkeys(phase for tower, phase in series if several and phase != first[tower]))
    axis = f"epoch (dashed: {', '.join(later)})" if later else "epoch"
    svg = lines(drawn[::-1], name=f"{before}{name} by epoch", axis=axis, from_zero=False)
    key = [(role, group) for group, role in roles.items()] if len(roles) > 1 else []
    columns = [column for column in ("tower", "phase", "epoch", name) if any(column in row for row in rows)]
    table = Grid("", columns, [[text_of(row.get(column)) for column in columns] for row in rows])
    return Figure(before + name, svg, [table], key=key)


def _number(value: JsonValue) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
