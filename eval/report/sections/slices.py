"""Parts of the truth, apart: a plot of the leading models for each kind of parts."""

from aisle.eval.report.plots import Bar, Group, bars
from aisle.eval.report.schema import Report, Slice
from aisle.eval.report.sections.figure import Estimates, Figure
from aisle.eval.report.sections.roles import leading, role_of


def parts(report: Report) -> list[Figure]:
    """One plot of the primary measure (or the first that parts have) for each kind of parts."""
    shown = leading(report)
    kinds: dict[str, dict[str, Slice]] = {}
    for name, part in report.slices.items():
        kinds.setdefault(kind_of(name), {})[name] = part
    return [_figure(report, kind, found, shown) for kind, found in kinds.items()]


def measure_of(report: Report) -> str:
    """The measure that the plots of parts show."""
    measured = list(next(iter(next(iter(report.slices.values())).models.values())))
    return report.primary if report.primary in measured else measured[0]


def kind_of(name: str) -> str:
    """What a part is a part of: "items" for "new items"; "price" for "price: low"."""
    return name.partition(":")[0] if ":" in name else name.rpartition(" ")[2]


def _figure(report: Report, kind: str, found: dict[str, Slice], shown: list[str]) -> Figure:
    measure = measure_of(report)
    groups = []
    for name, part in found.items():
        rows = []
        for model in shown:
            value = part.models[model][measure]
            rows.append(Bar(model, value.value, value.low, value.high, role_of(report, model)))
        label = name.partition(":")[2].strip() or name
        groups.append(Group(label, f"{part.users:,} users", rows))
    level = f"{report.method.confidence:.0%}"
    svg = bars(groups, name=f"{measure} by {kind}", axis=f"{measure}, {level} intervals")
    tables = [
        Estimates(
            f"{name}: {part.users:,} users, {part.pairs:,} relevant items",
            list(part.models[shown[0]]),
            [(model, role_of(report, model), part.models[model]) for model in report.ranking()],
            part=name,
        )
        for name, part in found.items()
    ]
    return Figure(kind, svg, tables)
