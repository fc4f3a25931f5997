"""Two evaluations of the same truth, user by user: what changed, and where chance may have decided."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from aisle.data.errors import InputError
from aisle.eval.files import read_run, read_truth
from aisle.eval.judged import judge
from aisle.eval.metrics.measure import USER_METRICS, is_known, parse
from aisle.eval.protocol import require_same, truth_checksum
from aisle.eval.report.schema import Outcome, Report
from aisle.eval.runs import check_run, check_truth
from aisle.eval.truth import Truth
from aisle.eval.uncertainty import Floats, bootstrap_means, flipped_sums, holm, interval, permutation_p


@dataclass(frozen=True)
class Evaluation:
    """A report and, where they are beside it, the runs that it was made of.

    Attributes:
        report: what was found.
        folder: holds `truth.parquet` and `runs/<model>.parquet`; None where the report stands alone.
    """

    report: Report
    folder: Path | None = None

    @classmethod
    def read(cls, place: Path) -> "Evaluation":
        """The evaluation of a run's folder, in the folder of the stage, or of a `report.json`.

        Raises:
            InputError: there is no report, or it is not of this form.
        """
        stage = place / "evaluate"
        found = stage if stage.is_dir() else place
        folder = found if found.is_dir() else found.parent
        return cls(Report.read(found), folder if (folder / "truth.parquet").is_file() else None)

    def run(self, model: str) -> Path | None:
        """File of a model's run; None where there is none."""
        path = None if self.folder is None else self.folder / "runs" / f"{model}.parquet"
        return path if path is not None and path.is_file() else None


class Paired(NamedTuple):
    """A paired test of a model's lists after against its lists before.

    Attributes:
        low, high: paired bootstrap interval of the difference.
        p: of the two-sided paired permutation test.
        p_holm: the same after Holm's correction over all tests of the comparison.
        outcome: of the lists after, where `p_holm` is below 1 - confidence.
        risen, fallen: users whose score is larger, and smaller, after. A measure in which both are 0 has p 1
            and does not count among the tests.
    """

    low: float
    high: float
    p: float
    p_holm: float
    outcome: Outcome
    risen: int
    fallen: int

    @property
    def moved(self) -> bool:
        """Whether the score of any user has changed."""
        return self.risen + self.fallen > 0


UNMOVED = Paired(low=0.0, high=0.0, p=1.0, p_holm=1.0, outcome="undecided", risen=0, fallen=0)
"""Of a measure in which no user has changed."""


class Change(NamedTuple):
    """A measure of a model that both reports hold; `test` is None where none was made."""

    model: str
    measure: str
    before: float
    after: float
    test: Paired | None = None

    @property
    def difference(self) -> float:
        """After minus before."""
        return self.after - self.before


def changes(before: Evaluation, after: Evaluation) -> list[Change]:
    """Values of the models that both reports hold, by model and measure.

    Where both hold the runs, the primary and the tested measures of `before` come with a paired test.

    Raises:
        InputError: the protocols differ (names each difference), the reports share no model, or a file beside
            a report is not the one that it was made of.
    """
    one, other = before.report, after.report
    require_same(one.protocol, other.protocol)
    shared = [model for model in other.models if model in one.models]
    if not shared:
        raise InputError(
            "two reports that hold one model",
            f"{', '.join(one.models)} in the first, {', '.join(other.models)} in the second",
            "name the runs alike",
        )
    tests = _tests(before, after, shared)
    return [
        Change(
            model,
            measure,
            one.models[model][measure].value,
            estimate.value,
            tests.get((model, measure)),
        )
        for model in shared
        for measure, estimate in other.models[model].items()
        if measure in one.models[model]
    ]


def _tests(before: Evaluation, after: Evaluation, shared: Sequence[str]) -> Mapping[tuple[str, str], Paired]:
    if before.folder is None or after.folder is None:
        return {}
    measures = [name for name in before.report.tested() if is_known(parse(name).metric, None)]
    truth = _truth(before)
    _truth(after)
    found: list[tuple[str, str, Floats]] = []
    unmoved: dict[tuple[str, str], Paired] = {}
    for model in shared:
        files = before.run(model), after.run(model)
        if files[0] is None or files[1] is None:
            continue
        scores = [_scores(file, truth, model, measures) for file in files if file is not None]
        for evaluation, values in zip((before, after), scores, strict=True):
            _same(evaluation, model, measures, values)
        pair = scores[1] - scores[0]
        for at, name in enumerate(measures):
            if pair[:, at].any():
                found.append((model, name, pair[:, at]))
            else:
                unmoved[model, name] = UNMOVED
    return unmoved | (dict(_tested(found, before.report)) if found else {})


def _tested(
    found: Sequence[tuple[str, str, Floats]], report: Report
) -> Iterator[tuple[tuple[str, str], Paired]]:
    method = report.method
    differences = np.column_stack([difference for _, _, difference in found])
    flipped = flipped_sums(differences, permutations=method.permutations, seed=method.seed)
    totals = differences.sum(axis=0)
    p_values = np.array([permutation_p(float(total), flipped[:, at]) for at, total in enumerate(totals)])
    low, high = interval(
        bootstrap_means(differences, resamples=method.resamples, seed=method.seed), method.confidence
    )
    for at, (corrected, (model, measure, difference)) in enumerate(zip(holm(p_values), found, strict=True)):
        decided = corrected < 1 - method.confidence
        outcome: Outcome = "undecided" if not decided else "better" if totals[at] > 0 else "worse"
        yield (
            (model, measure),
            Paired(
                low=float(low[at]),
                high=float(high[at]),
                p=float(p_values[at]),
                p_holm=float(corrected),
                outcome=outcome,
                risen=int(np.count_nonzero(difference > 0)),
                fallen=int(np.count_nonzero(difference < 0)),
            ),
        )


def _truth(evaluation: Evaluation) -> Truth:
    assert evaluation.folder is not None
    path = evaluation.folder / "truth.parquet"
    truth = check_truth(read_truth(path))
    if truth_checksum(truth) != evaluation.report.protocol.get("truth"):
        raise InputError(
            "the truth that the report was made of", f"another one in {path}", "evaluate again, or restore it"
        )
    return truth


def _scores(file: Path, truth: Truth, model: str, measures: Sequence[str]) -> Floats:
    """Scores of each user, float64 (n_users, n_measures)."""
    chosen = [parse(name) for name in measures]
    run = check_run(read_run(file), truth, model)
    judged = judge(run, truth, depth=max(one.k for one in chosen))
    return np.column_stack([USER_METRICS[one.metric](judged, one.k) for one in chosen])


def _same(evaluation: Evaluation, model: str, measures: Sequence[str], scores: Floats) -> None:
    for at, name in enumerate(measures):
        said = evaluation.report.models[model][name].value
        if not np.isclose(scores[:, at].mean(), said, rtol=1e-6, atol=1e-9):
            raise InputError(
                f"the run of {model} that the report was made of",
                f"{name} {scores[:, at].mean():.6f} in {evaluation.run(model)}, {said:.6f} in the report",
                "evaluate again, or restore it",
            )
