"""Two reports side by side, if they may stand there."""

from typing import NamedTuple

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
        InputError: the reports were made under different protocols; names each difference.
    """
    require_same(before.protocol, after.protocol)
    return [
        Change(model, measure, before.models[model][measure].value, estimate.value)
        for model, estimates in after.models.items()
        if model in before.models
        for measure, estimate in estimates.items()
        if measure in before.models[model]
    ]
