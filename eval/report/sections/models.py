"""How the models rank, and which differences hold."""

from collections.abc import Mapping

from markupsafe import Markup

from aisle.eval.metrics.measure import parse
from aisle.eval.report.plots import Dot, dots
from aisle.eval.report.published import published
from aisle.eval.report.schema import Comparison, Estimate, Report
from aisle.eval.report.sections.figure import Estimates, Figure, Grid, Tests
from aisle.eval.report.sections.roles import leading, measures, role_of


def leaders(report: Report) -> list[Figure]:
    """One plot a tested measure: our estimates and, where there are any, published values."""
    level = f"{report.method.confidence:.0%}"
    figures = []
    for measure in report.tested():
        rows = []
        for model in report.models:
            found = report.models[model][measure]
            rows.append(Dot(model, found.value, found.low, found.high, role_of(report, model)))
        known = published(report.protocol, measure)
        rows += [Dot(entry.model, entry.values[measure], None, None, "published") for entry in known]
        rows.sort(key=lambda row: -row.value)
        svg = dots(rows, name=f"{measure} of every model", axis=f"{measure}, {level} intervals")
        tables: list[Estimates | Grid | Tests] = [Estimates("", [measure], everyone(report))]
        if known:
            tables.append(
                Grid(
                    "Printed by others under the same protocol, not measured here, hence without interval",
                    ["model", measure, "source"],
                    [[entry.model, f"{entry.values[measure]:.4f}", entry.source] for entry in known],
                    text=True,
                )
            )
        figures.append(Figure(measure, svg, tables))
    return figures


def duel(report: Report) -> Markup | None:
    """The leading models alone, for the head of the page; None where there is one."""
    shown = leading(report)
    if len(shown) < 2:
        return None
    found = [(model, report.models[model][report.primary]) for model in shown]
    rows = [Dot(model, one.value, one.low, one.high, role_of(report, model)) for model, one in found]
    level = f"{report.method.confidence:.0%}"
    return dots(
        rows, name=f"{report.primary} of {', '.join(shown)}", axis=f"{report.primary}, {level} intervals"
    )


def at_cut_off(report: Report) -> Estimates:
    """All measures at the cut-off of the primary one."""
    k = parse(report.primary).k
    level = f"{report.method.confidence:.0%}"
    return Estimates(
        f"Value and {level} interval; measures of the whole catalogue have none.",
        [name for name in measures(report) if parse(name).k == k],
        everyone(report),
    )


def everyone(report: Report) -> list[tuple[str, str, Mapping[str, Estimate]]]:
    """Every model with its role and estimates, best first."""
    return [(name, role_of(report, name), report.models[name]) for name in report.ranking()]


def sampled_metrics(report: Report) -> Figure | None:
    """Sampled values beside those over all items; None where nobody asked for them."""
    found = report.sampled
    shown = list(next(iter(found.models.values()), {})) if found else []
    if found is None or not shown:
        return None
    rows = [
        [model, measure, f"{found.models[model][measure]:.4f}", f"{found.alone[model][measure]:.4f}"]
        for measure in shown
        for model in report.ranking()
    ]
    among = f"among {found.negatives:,} others"
    grid = Grid("", ["model", "measure", among, "among all items"], rows)
    measure = report.primary if report.primary in shown else shown[0]
    drawn = []
    for model in report.ranking():
        role = role_of(report, model)
        drawn.append(Dot(f"{model}, all items", found.alone[model][measure], None, None, role))
        drawn.append(Dot(f"{model}, {among}", found.models[model][measure], None, None, role))
    svg = dots(drawn, name=f"{measure} {among} and among all items", axis=measure)
    return Figure(f"Sampled {measure}", svg, [grid], " ".join(found.notes))


def differences(report: Report) -> Figure | None:
    """The comparisons of the verdict's model on the primary measure; None where nothing was compared."""
    contest = report.contest()
    if contest is None:
        return None
    model = contest[0]
    plotted = sorted(
        (test for test in _of(report, model) if test.measure == report.primary),
        key=lambda test: test.difference,
    )
    if not plotted:
        return None
    rows = [
        Dot(f"− {test.other}", test.difference, test.low, test.high, role_of(report, test.other))
        for test in plotted
    ]
    title = f"{report.primary} of {model} minus that of …"
    svg = dots(rows, name=title, axis="difference; right of 0 is more", zero=True)
    return Figure(title, svg, [Tests("", f"{model} is …", plotted)])


def other_tests(report: Report) -> Tests | None:
    """All comparisons that :func:`differences` does not show."""
    contest = report.contest()
    model = contest[0] if contest else ""
    mine = [test for test in _of(report, model) if test.measure != report.primary]
    rest = [test for test in report.comparisons if model not in (test.model, test.other)]
    return Tests("", "", [*mine, *rest]) if mine or rest else None


def _of(report: Report, model: str) -> list[Comparison]:
    """Comparisons of a model, told from its side."""
    return [
        test if test.model == model else test.flipped()
        for test in report.comparisons
        if model in (test.model, test.other)
    ]
