"""Two evaluations side by side, for the terminal and in a sentence."""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from aisle.eval.changes import Change
from aisle.eval.report.schema import Report

UNTESTED = (
    "No test was made: that takes the folders of both runs, with truth.parquet and runs/ beside the reports."
)
SAID = {"better": "better", "worse": "worse", "undecided": "no difference shown"}


def changes_table(before: Report, changes: Sequence[Change]) -> Table:
    """The changes on the primary and the tested measures of `before`."""
    measures, tests = before.tested(), any(change.users for change in changes)
    shown = Table(
        box=SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
        collapse_padding=True,
        caption=headline(before, changes),
        caption_justify="left",
        caption_style="",
    )
    shown.add_column("model", overflow="fold")
    for name in ("measure", "before", "after", "change"):
        shown.add_column(name, justify="left" if name == "measure" else "right", no_wrap=True)
    if tests:
        shown.add_column("p, Holm", justify="right", no_wrap=True)
        shown.add_column("after is")
    for change in changes:
        if change.measure in measures:
            values = [f"{change.before:.4f}", f"{change.after:.4f}", f"{change.difference:+.4f}"]
            if tests:
                values += [f"{change.test.p_holm:.4f}" if change.test else "", outcome(change)]
            shown.add_row(Text(change.model), change.measure, *values)
    return shown


def outcome(change: Change) -> str:
    """What a test says of the lists after, in words."""
    if change.test is not None:
        return SAID[change.test.outcome]
    return "not tested" if change.users is None else "the same for every user"


def main_change(before: Report, changes: Sequence[Change]) -> Change:
    """The change that matters most: that of the first of our models in both, on the primary measure."""
    primary = [change for change in changes if change.measure == before.primary]
    ours = [change for model in before.ours for change in primary if change.model == model]
    return (ours or primary or list(changes))[0]


def headline(before: Report, changes: Sequence[Change]) -> str:
    """The comparison in a sentence; "better" and "worse" only where a test allows them."""
    change = main_change(before, changes)
    figures = f"{change.measure} {change.after:.4f} after, {change.before:.4f} before"
    if change.test is None:
        why = UNTESTED if change.users is None else "No score of any user has changed."
        return f"{change.model}: {figures}. {why}"
    if change.test.outcome == "undecided":
        return f"No difference shown between {change.model} before and after: {figures}."
    relative = f" ({change.difference / change.before:+.1%})" if change.before > 0 else ""
    return f"{change.model} is {change.test.outcome} than before: {figures}{relative}."
