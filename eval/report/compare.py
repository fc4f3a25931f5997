"""Two reports side by side, if they may stand there."""

from typing import NamedTuple

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from aisle.data.errors import InputError
from aisle.eval.protocol import require_same
from aisle.eval.report.schema import Report


class Change(NamedTuple):
    """A measure of a model that both reports hold."""

    model: str
    measure: str
    before: float
    after: float

    @property
    def difference(self) -> float:
        """After minus before."""
        return self.after - self.before


def compare_reports(before: Report, after: Report) -> list[Change]:
    """Values of the models that both reports hold, by model and measure.

    These are differences, not findings: a report keeps no scores of single users, so whether chance
    explains a difference needs both runs in one evaluation (:func:`aisle.eval.evaluate.evaluate_files`).

    Raises:
        InputError: the protocols differ (names each difference), or the reports share no model.
    """
    require_same(before.protocol, after.protocol)
    changes = [
        Change(model, measure, before.models[model][measure].value, estimate.value)
        for model, estimates in after.models.items()
        if model in before.models
        for measure, estimate in estimates.items()
        if measure in before.models[model]
    ]
    if not changes:
        raise InputError(
            "two reports that hold one model",
            f"{', '.join(before.models)} in the first, {', '.join(after.models)} in the second",
            "name the runs alike",
        )
    return changes


def changes_table(before: Report, changes: list[Change]) -> Table:
    """The changes on the primary and the tested measures of `before`, for the terminal."""
    measures = dict.fromkeys([before.primary, *(test.measure for test in before.comparisons)])
    shown = Table(
        box=SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
        collapse_padding=True,
        caption="No test was made. For one: aisle evaluate --truth RUN_A/evaluate/truth.parquet "
        "--run before=RUN_A/evaluate/runs/MODEL.parquet --run after=RUN_B/evaluate/runs/MODEL.parquet",
        caption_justify="left",
        caption_style="",
    )
    shown.add_column("model", overflow="fold")
    for name in ("measure", "before", "after", "change"):
        shown.add_column(name, justify="left" if name == "measure" else "right", no_wrap=True)
    for change in changes:
        if change.measure in measures:
            values = (f"{change.before:.4f}", f"{change.after:.4f}", f"{change.difference:+.4f}")
            shown.add_row(Text(change.model), change.measure, *values)
    return shown
