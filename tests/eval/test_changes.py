"""Two evaluations of one truth: the paired tests are those of one evaluation that holds both."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from reports import text, tree

from aisle.data.errors import InputError
from aisle.eval.changes import Evaluation, changes
from aisle.eval.evaluate import evaluate
from aisle.eval.report import write_report
from aisle.eval.report.compare import headline
from aisle.eval.report.compare_page import compare_html
from aisle.eval.report.schema import Report
from aisle.eval.settings import EvaluateSettings

USERS, ITEMS = 300, 30
SETTINGS = EvaluateSettings(
    k=(1, 5, 10),
    metrics=("recall", "ndcg"),
    tested=("ndcg@10", "recall@10"),
    resamples=300,
    permutations=2000,
)
TRUTH = pl.DataFrame({"user_id": [f"u{user:03}" for user in range(USERS)], "item_id": "i0"})


def run(skill: float, seed: int) -> pl.DataFrame:
    """Lists of ten in which what is wanted stands higher, the larger `skill` is."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(USERS, ITEMS))
    scores[:, 0] += skill
    top = np.argsort(-scores, axis=1)[:, :10]
    return pl.DataFrame(
        {
            "user_id": np.repeat(TRUTH["user_id"].to_numpy(), 10),
            "item_id": [f"i{item}" for item in top.ravel()],
            "score": np.take_along_axis(scores, top, 1).ravel(),
        }
    )


RUNS = {"popularity": run(0.2, 0), "weak": run(0.5, 1), "strong": run(1.6, 2), "alike": run(0.55, 3)}


def evaluated(folder: Path, **models: str) -> Path:
    """A folder as `aisle evaluate` leaves it: models by name, and which run each has."""
    place = folder / "evaluate"
    (place / "runs").mkdir(parents=True)
    TRUTH.write_parquet(place / "truth.parquet")
    runs = {name: RUNS[which] for name, which in models.items()}
    for name, found in runs.items():
        found.write_parquet(place / "runs" / f"{name}.parquet")
    report = evaluate(TRUTH, runs, settings=SETTINGS, seed=4, ours=["towers"])
    write_report(report, place)
    return folder


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    return {
        name: evaluated(folder / name, towers=name, popularity="popularity")
        for name in ("weak", "strong", "alike")
    }


def test_tests_are_those_of_one_evaluation_that_holds_both(places: dict[str, Path]) -> None:
    found = {
        (one.model, one.measure): one
        for one in changes(Evaluation.read(places["weak"]), Evaluation.read(places["strong"]))
    }
    both = evaluate(TRUTH, {"b": RUNS["strong"], "a": RUNS["weak"]}, settings=SETTINGS, seed=4, ours=["b"])
    assert len(both.comparisons) == 2
    for oracle in both.comparisons:
        change = found["towers", oracle.measure]
        assert change.test is not None
        assert change.difference == pytest.approx(oracle.difference)
        assert change.test.outcome == oracle.outcome == "better"
        for name in ("difference", "low", "high", "p", "p_holm", "p_bootstrap", "p_bootstrap_holm"):
            assert getattr(change.test, name) == pytest.approx(getattr(oracle, name)), name
    assert found["popularity", "ndcg@10"].users == (0, 0, None)
    assert found["towers", "ndcg@5"].users is None  # not a tested measure


def test_users_are_counted_by_what_became_of_them(places: dict[str, Path]) -> None:
    (change,) = [
        one
        for one in changes(Evaluation.read(places["weak"]), Evaluation.read(places["strong"]))
        if (one.model, one.measure) == ("towers", "recall@10")
    ]

    def holding(name: str) -> set[str]:
        return set(RUNS[name].filter(item_id="i0")["user_id"])

    assert change.users is not None
    assert change.users.risen == len(holding("strong") - holding("weak"))
    assert change.users.fallen == len(holding("weak") - holding("strong"))


def test_the_words_follow_the_test(places: dict[str, Path]) -> None:
    def said(one: str, other: str) -> tuple[str, str]:
        before, after = Evaluation.read(places[one]), Evaluation.read(places[other])
        found = changes(before, after)
        return headline(before.report, found), text(compare_html(before.report, after.report, found))

    sentence, page = said("weak", "strong")
    assert sentence.startswith("towers is better than before: ndcg@10 0.")
    assert page.startswith("aisle · two runs compared " + sentence)
    assert said("strong", "weak")[0].startswith("towers is worse than before: ndcg@10 0.")
    sentence, page = said("weak", "alike")
    assert sentence.startswith("No difference shown between towers before and after")
    assert "better" not in page
    assert "worse" not in page
    sentence, _ = said("weak", "weak")
    assert sentence.endswith("No score of any user has changed.")


def test_reports_alone_are_compared_without_tests(places: dict[str, Path], tmp_path: Path) -> None:
    lone = [tmp_path / "a.json", tmp_path / "b.json"]
    for file, name in zip(lone, ("weak", "strong"), strict=True):
        file.write_text((places[name] / "evaluate" / "report.json").read_text())
    before, after = map(Evaluation.read, lone)
    found = changes(before, after)
    assert {one.users for one in found} == {None}
    page = compare_html(before.report, after.report, found)
    assert "No test was made" in text(page)
    assert "better" not in text(page)


@pytest.mark.parametrize("damaged", ["truth.parquet", "runs/towers.parquet"])
def test_files_of_another_evaluation_are_refused(
    places: dict[str, Path], tmp_path: Path, damaged: str
) -> None:
    mine = evaluated(tmp_path / "mine", towers="strong", popularity="popularity")
    path = mine / "evaluate" / damaged
    pl.read_parquet(path).head(-10).write_parquet(path)
    with pytest.raises(InputError, match="that the report was made of"):
        changes(Evaluation.read(places["weak"]), Evaluation.read(mine))


def test_the_page_names_what_was_different(places: dict[str, Path]) -> None:
    before, after = (Evaluation.read(places[name]).report for name in ("weak", "strong"))

    def made(report: Report, dim: int) -> Report:
        settings = {"run": {"retriever": {"dim": dim, "layers": 2}}}
        return report.model_copy(update={"settings": settings, "timings": {"train": 60.0 * dim}})

    found = changes(Evaluation.read(places["weak"]), Evaluation.read(places["strong"]))
    page = compare_html(made(before, 1), made(after, 2), found)
    said = text(page)
    assert "run.retriever.dim 1 2" in said
    assert "layers" not in said
    assert "train 1 min 00 s 2 min 00 s" in said
    ids = [element.attrib["id"] for element in tree(page).iter() if "id" in element.attrib]
    assert len(ids) == len(set(ids))
