"""`aisle compare`: two runs side by side, if they were measured on the same."""

import json
import re
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner, Result

from aisle.cli import app
from aisle.eval.evaluate import evaluate
from aisle.eval.report import write_report
from aisle.eval.settings import EvaluateSettings

TRUTH = pl.DataFrame({"user_id": ["u", "v"], "item_id": ["a", "b"]})
QUICK = EvaluateSettings(k=(1, 10), metrics=("recall", "ndcg", "precision"), resamples=100, permutations=1000)


def compare(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["compare", *map(str, arguments)])


def evaluated(folder: Path, *, finds: int, masking: str = "seen") -> Path:
    """The folder of a run whose model finds the item of the first `finds` users, beside a baseline."""
    runs = {
        "two_tower": TRUTH.with_columns(score=1.0).head(finds),
        "popularity": TRUTH.with_columns(item_id=pl.lit("a"), score=1.0),
    }
    report = evaluate(TRUTH, runs, settings=QUICK, protocol={"masking": masking}, ours=["two_tower"])
    write_report(report, folder / "evaluate")
    return folder


@pytest.fixture
def one(tmp_path: Path) -> Path:
    return evaluated(tmp_path / "one", finds=1)


@pytest.fixture
def other(tmp_path: Path) -> Path:
    return evaluated(tmp_path / "other", finds=2)


def test_people_see_the_change_of_each_tested_measure(one: Path, other: Path) -> None:
    result = compare(one, other)
    assert result.exit_code == 0, result.stderr
    assert re.search(r"two_tower +recall@10 +0\.5000 +1\.0000 +\+0\.5000", result.stdout)
    assert re.search(r"popularity +ndcg@10 +0\.5000 +0\.5000 +\+0\.0000", result.stdout)
    assert "precision" not in result.stdout
    assert "No test was made" in result.stdout


def test_machines_get_every_measure(one: Path, other: Path) -> None:
    changes = json.loads(compare(other, one, "--json").stdout)["changes"]
    assert {
        "model": "two_tower",
        "measure": "precision@1",
        "before": 2 / 2,
        "after": 1 / 2,
        "difference": 1 / 2 - 2 / 2,
    } in changes
    assert len(changes) == 2 * 3 * 2


def test_a_report_is_named_by_its_file_or_either_folder(one: Path, other: Path) -> None:
    said = compare(one, other).stdout
    assert compare(one / "evaluate", other / "evaluate" / "report.json").stdout == said


def test_other_protocols_are_refused_and_the_difference_is_named(one: Path, tmp_path: Path) -> None:
    result = compare(one, evaluated(tmp_path / "masked", finds=2, masking="nothing"))
    assert result.exit_code == 2
    assert 'masking: "seen" in the first, "nothing" in the second' in result.stderr
    assert result.stdout == ""


def test_a_folder_without_a_report_is_refused(one: Path, tmp_path: Path) -> None:
    result = compare(one, tmp_path / "none")
    assert result.exit_code == 2
    assert "report.json" in compare(one, tmp_path).stderr
    assert "none" in result.stderr


def test_the_page_is_written_where_it_is_wanted(one: Path, other: Path, tmp_path: Path) -> None:
    result = compare(one, other, "--out", tmp_path / "new" / "page.html")
    assert result.exit_code == 0, result.stderr
    page = (tmp_path / "new" / "page.html").read_text()
    assert "two_tower: ndcg@10 1.0000 after, 0.5000 before. No test was made" in page
    assert str(tmp_path / "new" / "page.html") in result.stdout.replace("\n", "")


def test_folders_with_their_runs_are_tested(one: Path, other: Path) -> None:
    for place, finds in ((one, 1), (other, 2)):
        folder = place / "evaluate"
        (folder / "runs").mkdir()
        TRUTH.write_parquet(folder / "truth.parquet")
        TRUTH.with_columns(score=1.0).head(finds).write_parquet(folder / "runs" / "two_tower.parquet")
    changes = json.loads(compare(one, other, "--json").stdout)["changes"]
    (tested,) = [row for row in changes if row["model"] == "two_tower" and row["measure"] == "ndcg@10"]
    assert (tested["risen"], tested["fallen"]) == (1, 0)
    assert tested["test"]["outcome"] == "undecided"  # one user of two
    assert "No difference shown between two_tower before and after" in compare(one, other).stdout
