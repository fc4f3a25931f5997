"""The report as a table for the terminal."""

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from aisle.eval.metrics.measure import parse
from aisle.eval.report.schema import Report
from aisle.eval.report.verdict import verdict

ALSO = ("mrr", "coverage")
"""Metrics shown beside the tested ones, at the cut-off of the primary measure; report.json holds all."""


def table(report: Report) -> Table:
    """Models by falling primary measure, with its interval; ours are bold. The verdict stands below."""
    primary = report.primary
    measures = dict.fromkeys([primary, *(test.measure for test in report.comparisons)])
    measures |= dict.fromkeys(f"{metric}@{parse(primary).k}" for metric in ALSO)
    measured = next(iter(report.models.values()))
    shown = Table(
        box=SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
        collapse_padding=True,
        caption=verdict(report),
        caption_justify="left",
        caption_style="",
    )
    shown.add_column("model", overflow="fold")
    for measure in measures:
        if measure in measured:
            shown.add_column(measure, justify="right", no_wrap=True)
        if measure == primary:
            shown.add_column(f"{report.method.confidence:.0%} interval", no_wrap=True)
    for model in report.ranking():
        cells = [Text(model, style="bold" if model in report.ours else "")]
        for measure in measures:
            if measure not in measured:
                continue
            estimate = report.models[model][measure]
            cells.append(Text(f"{estimate.value:.4f}"))
            if measure == primary:
                cells.append(Text(f"{estimate.low:.4f} to {estimate.high:.4f}"))
        shown.add_row(*cells)
    return shown
