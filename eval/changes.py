"""Two evaluations of the same truth, user by user: what changed, and where chance may have decided."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from aisle.data.errors import InputError
from aisle.eval.comparing import Trial, decide
from aisle.eval.files import read_run, read_truth
from aisle.eval.judging import judge
from aisle.eval.metrics.measure import USER_METRICS, is_known, parse
from aisle.eval.protocol import require_same, truth_checksum
from aisle.eval.report.schema import Comparison, Method, Report
from aisle.eval.runs import check_run, check_truth
from aisle.eval.truth import Truth
from aisle.eval.uncertainty import Floats, bootstrap_means, bootstrap_p, flipped_sums, permutation_p


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
    """A model's lists after, user by user against its lists before.

    Attributes:
        risen, fallen: users whose score is larger, and smaller, after.
        test: paired tests of that, `other` being the lists before, corrected over all of the comparison; None
            where no user has changed.
    """

    risen: int
    fallen: int
    test: Comparison | None


class Change(NamedTuple):
    """A measure of a model that both reports hold; `users` is None where their scores are not known."""

    model: str
    measure: str
    before: float
    after: float
    users: Paired | None = None

    @property
    def difference(self) -> float:
        """After minus before."""
        return self.after - self.before

    @property
    def test(self) -> Comparison | None:
        """The paired test; None where none was made."""
        return self.users and self.users.test


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
    if not measures:
        return {}
    truth = _truth(before)
    _truth(after)
    found: dict[tuple[str, str], Floats] = {}
    for model in shared:
        files = before.run(model), after.run(model)
        if files[0] is None or files[1] is None:
            continue
        scores = [_scores(file, truth, model, measures) for file in files if file is not None]
        for evaluation, values in zip((before, after), scores, strict=True):
            _same(evaluation, model, measures, values)
        found |= {(model, name): (scores[1] - scores[0])[:, at] for at, name in enumerate(measures)}
    moved = {key: difference for key, difference in found.items() if difference.any()}
    tests = dict(zip(moved, _tested(moved, before.report.method), strict=True))
    return {
        key: Paired(
            int(np.count_nonzero(difference > 0)), int(np.count_nonzero(difference < 0)), tests.get(key)
        )
        for key, difference in found.items()
    }


def _tested(moved: Mapping[tuple[str, str], Floats], method: Method) -> list[Comparison]:
    """Tests of differences by model and measure, corrected over all of them."""
    if not moved:
        return []
    columns = np.column_stack([*moved.values()])
    flipped = flipped_sums(columns, permutations=method.permutations, seed=method.seed)
    means = bootstrap_means(columns, resamples=method.resamples, seed=method.seed)
    trials = []
    for at, (model, measure) in enumerate(moved):
        difference = float(columns[:, at].mean())
        p = permutation_p(float(columns[:, at].sum()), flipped[:, at])
        p_bootstrap = bootstrap_p(difference, means[:, at])
        trials.append(Trial(measure, model, f"{model} before", difference, means[:, at], p, p_bootstrap))
    return decide(trials, method.confidence)


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
