"""Each metric by its cut-off."""

from aisle.eval.metrics.measure import parse
from aisle.eval.report.plots import Line, lines
from aisle.eval.report.schema import Report
from aisle.eval.report.sections.figure import Estimates, Figure
from aisle.eval.report.sections.models import everyone
from aisle.eval.report.sections.roles import measures, role_of
from aisle.eval.report.words import PLAIN

ACCURACY = (
    "ndcg",
    "ndcg_exp",
    "recall",
    "recall_capped",
    "hit_rate",
    "mrr",
    "map",
    "precision",
    "r_precision",
    "auc",
)
"""Metrics of what was found and where it stands, in the order of the page; others say what else lists are."""

DRAWN_LAST = {"other": 0, "part": 1, "rival": 2, "ours": 3}


def accuracy(report: Report) -> list[Figure]:
    """Plots of metrics of accuracy, the primary one first; none where there is a single cut-off."""
    primary = parse(report.primary).metric
    order = [primary, *(metric for metric in ACCURACY if metric != primary)]
    return [figure for metric in order if (figure := _curve(report, metric))]


def beyond(report: Report) -> list[Figure]:
    """Plots of all other metrics."""
    names = dict.fromkeys(parse(measure).metric for measure in measures(report))
    return [figure for metric in names if metric not in ACCURACY and (figure := _curve(report, metric))]


def _curve(report: Report, metric: str) -> Figure | None:
    shown = [measure for measure in measures(report) if parse(measure).metric == metric]
    if len(shown) < 2:
        return None
    series = []
    for model in sorted(report.models, key=lambda model: DRAWN_LAST[role_of(report, model)]):
        found = [report.models[model][measure] for measure in shown]
        role = role_of(report, model)
        series.append(
            Line(
                model,
                [parse(measure).k for measure in shown],
                [estimate.value for estimate in found],
                role,
                [estimate.low for estimate in found if estimate.low is not None],
                [estimate.high for estimate in found if estimate.high is not None],
                end=model if role in ("ours", "rival") else "",
            )
        )
    bounded = all(0 <= y <= 1 for line in series for y in line.y)
    svg = lines(
        series, name=f"{metric} by cut-off", axis="k, length of the list", log=True, from_zero=bounded
    )
    level = f"{report.method.confidence:.0%}"
    caption = f"{level} intervals below the values" if series[0].low else ""
    return Figure(metric, svg, [Estimates(caption, shown, everyone(report))], PLAIN.get(metric, ""))
