"""The report as one HTML file that needs nothing else: no script, no font, no request."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader
from markupsafe import Markup
from pydantic import JsonValue

from aisle.eval.metrics.measure import parse
from aisle.eval.report.background import background, counts, epochs
from aisle.eval.report.learning import learning_plots
from aisle.eval.report.plots import OTHER, OURS, PUBLISHED, RIVAL, Dot, Line, dots, lines
from aisle.eval.report.published import published
from aisle.eval.report.schema import Comparison, Report
from aisle.eval.report.verdict import evidence, verdict

COLOURS = {"ours": OURS, "rival": RIVAL, "other": OTHER}


def html(report: Report) -> str:
    """The whole page; well-formed XML as well as HTML, so that any parser can read the figures back.

    Each measured number is in a `<data value="...">` with all its digits.
    """
    pages = Environment(loader=FunctionLoader(_file), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    pages.filters |= {"exact": repr, "short": _short, "signed": "{:+.4f}".format}
    learning = learning_plots(report)
    return pages.get_template("report.html.jinja").render(
        css=Markup(_file("report.css")),
        title=_title(report.protocol),
        verdict=verdict(report),
        evidence=evidence(report),
        facts=_facts(report),
        warnings=report.warnings,
        key=_key(report),
        primary=report.primary,
        level=f"{report.method.confidence:.0%}",
        models=[(name, _role(report, name), report.models[name]) for name in report.ranking()],
        leaders=_leaders(report),
        slices=_slices(report),
        at_cut_off=[name for name in _measures(report) if parse(name).k == parse(report.primary).k],
        curves=_curves(report),
        learning=learning,
        epochs=epochs(report) if learning else None,
        counts=counts(report),
        background=background(report),
        fingerprint=report.protocol.get("fingerprint"),
        **_tests(report),
    )


def _file(name: str) -> str:
    return (files("aisle.eval.report") / name).read_text(encoding="utf-8")


def _short(value: float) -> str:
    return f"{value:.4f}"


def _title(protocol: Mapping[str, JsonValue]) -> str:
    return " · ".join(str(part) for part in ("aisle", protocol.get("dataset")) if part)


def _measures(report: Report) -> list[str]:
    return list(next(iter(report.models.values())))


def _role(report: Report, model: str) -> str:
    contest = report.contest()
    if model in report.ours or (contest is not None and not report.ours and model == contest[0]):
        return "ours"
    return "rival" if contest is not None and model == contest[1] else "other"


def _facts(report: Report) -> list[tuple[str, str]]:
    sizes = (
        ("users tested", "users"),
        ("relevant items", "relevant"),
        ("items in the catalogue", "catalogue"),
    )
    found = [(name, report.protocol.get(key)) for name, key in sizes]
    facts = [(name, f"{size:,}") for name, size in found if isinstance(size, int)]
    return [*facts, ("models", str(len(report.models)))]


def _key(report: Report) -> list[tuple[str, str]]:
    contest = report.contest()
    roles = {_role(report, model) for model in report.models}
    key = [("ours", ", ".join(report.ours) or (contest[0] if contest else next(iter(report.models))))]
    if contest:
        best = "best baseline" if report.ours and contest[1] not in report.ours else "runner-up"
        key.append(("rival", f"{contest[1]} ({best})"))
    if "other" in roles:
        key.append(("other", "other models"))
    if any(published(report.protocol, measure) for measure in _tested(report)):
        key.append(("published", "published elsewhere"))
    return key


def _tested(report: Report) -> list[str]:
    return list(dict.fromkeys([report.primary, *(test.measure for test in report.comparisons)]))


def _leaders(report: Report) -> list[dict[str, Any]]:
    """One dot plot a tested measure: our estimates and, where there are any, published values."""
    plots = []
    for measure in _tested(report):
        rows = []
        for model in report.models:
            found = report.models[model][measure]
            rows.append(Dot(model, found.value, found.low, found.high, COLOURS[_role(report, model)]))
        known = published(report.protocol, measure)
        rows += [Dot(entry.model, entry.values[measure], None, None, PUBLISHED) for entry in known]
        rows.sort(key=lambda row: -row.value)
        svg = dots(
            rows,
            name=f"{measure} of every model",
            axis=f"{measure}, {report.method.confidence:.0%} intervals",
        )
        plots.append({"measure": measure, "svg": Markup(svg), "published": known})
    return plots


def _slices(report: Report) -> list[dict[str, Any]]:
    """One table a part of the truth that is reported apart, models in the order of the whole."""
    ranking = report.ranking()
    return [
        {
            "name": name,
            "size": f"{part.users:,} users, {part.pairs:,} relevant items",
            "measures": list(part.models[ranking[0]]),
            "models": [(model, _role(report, model), part.models[model]) for model in ranking],
        }
        for name, part in report.slices.items()
    ]


def _tests(report: Report) -> dict[str, Any]:
    """The comparisons of the verdict's model first, and a plot of them on the primary measure."""
    contest = report.contest()
    if contest is None or not report.comparisons:
        return {"forest": None}
    model = contest[0]
    mine = [
        test if test.model == model else test.flipped() for test in report.comparisons if _names(test, model)
    ]
    plotted = sorted(
        (test for test in mine if test.measure == report.primary), key=lambda test: test.difference
    )
    rows = [
        Dot(f"− {test.other}", test.difference, test.low, test.high, COLOURS[_role(report, test.other)])
        for test in plotted
    ]
    title = f"{report.primary} of {model} minus that of"
    forest = {
        "model": model,
        "title": f"{title} …",
        "svg": Markup(dots(rows, name=title, axis="difference", zero=True)),
    }
    return {
        "forest": forest if rows else None,
        "main_tests": plotted,
        "other_tests": [test for test in mine if test.measure != report.primary]
        + [test for test in report.comparisons if not _names(test, model)],
        "n_tests": len(report.comparisons),
    }


def _names(test: Comparison, model: str) -> bool:
    return model in (test.model, test.other)


def _curves(report: Report) -> list[dict[str, Any]]:
    """One plot a metric over its cut-offs; none where there is a single cut-off."""
    by_metric: dict[str, list[str]] = {}
    for measure in _measures(report):
        by_metric.setdefault(parse(measure).metric, []).append(measure)
    drawn_last = {"other": 0, "rival": 1, "ours": 2}
    models = sorted(report.models, key=lambda model: drawn_last[_role(report, model)])
    curves = []
    for metric, measures in by_metric.items():
        if len(measures) < 2:
            continue
        series = []
        for model in models:
            found = [report.models[model][measure] for measure in measures]
            low = [estimate.low for estimate in found if estimate.low is not None]
            high = [estimate.high for estimate in found if estimate.high is not None]
            ks, values = [parse(measure).k for measure in measures], [estimate.value for estimate in found]
            series.append(Line(model, ks, values, low, high, COLOURS[_role(report, model)]))
        svg = lines(series, name=f"{metric} by cut-off", axis="k", log=True, from_zero=metric != "novelty")
        curves.append({"metric": metric, "measures": measures, "svg": Markup(svg)})
    return curves
