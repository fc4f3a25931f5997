"""The report as a table for the terminal."""

from collections.abc import Mapping

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from aisle.eval.metrics.measure import parse
from aisle.eval.report.schema import Report, Slice
from aisle.eval.report.verdict import verdict

ALSO = ("mrr", "coverage")
"""Metrics shown beside the tested ones, at the cut-off of the primary measure; report.json holds all."""


def tables(report: Report) -> list[Table]:
    """The table of all models and, where anything is new, that of new and known users and items."""
    new = {name: part for name, part in report.slices.items() if ":" not in name}
    return [table(report), *([_slices(report, new)] if new else [])]


def table(report: Report) -> Table:
    """Models by falling primary measure, with its interval; ours are bold. The verdict stands below."""
    primary = report.primary
    measures = dict.fromkeys(report.tested())
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


def _slices(report: Report, parts: Mapping[str, Slice]) -> Table:
    """One measure by part of the truth: the primary one, or the first tested where that one is not tested."""
    ranking = report.ranking()
    measured = list(next(iter(parts.values())).models[ranking[0]])
    measure = report.primary if report.primary in measured else measured[0]
    shown = Table(
        box=SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
        collapse_padding=True,
        title="\nNew is what no event before the tested part names.",
        title_justify="left",
        title_style="",
    )
    shown.add_column(f"{measure} of", overflow="fold")
    for name in parts:
        shown.add_column(name, justify="right")
    for model in ranking:
        values = [f"{part.models[model][measure].value:.4f}" for part in parts.values()]
        shown.add_row(Text(model, style="bold" if model in report.ours else ""), *values)
    shown.add_section()
    shown.add_row("users", *(f"{part.users:,}" for part in parts.values()))
    return shown
