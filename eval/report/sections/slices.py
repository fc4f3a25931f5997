"""Parts of the truth, apart: a plot of the leading models for each kind of parts."""

from collections.abc import Sequence

from aisle.eval.report.plots import Bar, Group, bars
from aisle.eval.report.schema import Comparison, Report, Slice
from aisle.eval.report.sections.figure import Estimates, Figure, Grid, Tests
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
        test = test_of(report, part)
        note = f"{part.users:,} users" + (f", {test.outcome}" if test and test.outcome != "undecided" else "")
        groups.append(Group(label, note, rows))
    level = f"{report.method.confidence:.0%}"
    svg = bars(groups, name=f"{measure} by {kind}", axis=f"{measure}, {level} intervals")
    tables: list[Estimates | Grid | Tests] = [
        Estimates(
            f"{name}: {part.users:,} users, {part.pairs:,} relevant items",
            list(part.models[shown[0]]),
            [(model, role_of(report, model), part.models[model]) for model in report.ranking()],
            part=name,
        )
        for name, part in found.items()
    ]
    tests = [(name, test) for name, part in found.items() if (test := test_of(report, part))]
    return Figure(kind, svg, [*([_tests(tests)] if tests else []), *tables])


def test_of(report: Report, part: Slice) -> Comparison | None:
    """The test of the two models of the verdict on a part, told from the side of the judged one."""
    contest = report.contest()
    if contest is None or part.comparison is None:
        return None
    return part.comparison if part.comparison.model == contest[0] else part.comparison.flipped()


def _tests(tests: Sequence[tuple[str, Comparison]]) -> Grid:
    rows = [
        [
            name,
            f"{test.difference:+.4f}",
            f"{test.low:+.4f} to {test.high:+.4f}",
            f"{test.p_holm:.4f}",
            "no difference shown" if test.outcome == "undecided" else test.outcome,
        ]
        for name, test in tests
    ]
    first = tests[0][1]
    columns = ["part", "difference", "interval", "p, Holm", f"{first.model} is"]
    return Grid(f"{first.measure} of {first.model} minus that of {first.other}", columns, rows)
