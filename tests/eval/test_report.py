"""report.json and the table say what was measured."""

import re
from pathlib import Path

import orjson
import pytest
from pydantic import BaseModel
from reports import BEAUTY, HOSTILE, VALUES, comparison, made, text
from rich.console import Console

from aisle.data.errors import InputError
from aisle.eval.report import Context, Report, context, schema, table, write_report
from aisle.eval.report.html import html
from aisle.eval.report.published import PUBLISHED, published
from aisle.eval.report.verdict import verdict


def test_json_has_the_form_of_the_documentation(tmp_path):
    report = made()
    as_json, _ = write_report(report, tmp_path / "new" / "folder")
    found = orjson.loads(as_json.read_bytes())
    assert found["models"]["als"]["ndcg@10"] == {"value": 0.05, "low": 0.01, "high": 0.09}
    assert found["models"]["als"]["coverage@1"]["low"] is None
    assert Report.read(tmp_path / "new" / "folder") == report


def test_every_field_is_documented():
    documentation = (Path(__file__).parents[2] / "docs" / "report.md").read_text()
    forms = [*vars(schema).values(), *vars(context).values()]
    for part in (form for form in forms if isinstance(form, type) and issubclass(form, BaseModel)):
        for field in part.model_fields:
            assert f"`{field}`" in documentation, f"{part.__name__}.{field}"


def test_a_report_of_another_form_is_refused(tmp_path):
    with pytest.raises(InputError, match="no file"):
        Report.read(tmp_path)
    (tmp_path / "report.json").write_text('{"models": {}}')
    with pytest.raises(InputError, match="protocol: Field required"):
        Report.read(tmp_path)


def test_context_is_added_and_nothing_is_lost():
    report = made()
    assert report.versions == {"aisle": "0.1.0", "torch": "2.13.0"}
    again = report.with_context(Context(timings={"index": 1.0}))
    assert (again.timings, again.counts) == ({"index": 1.0}, report.counts)


def test_the_contest_is_ours_against_the_best_baseline_or_the_two_first():
    assert made(ours=("bm25", HOSTILE)).contest() == ("bm25", "two_tower")
    assert made(ours=()).contest() == ("two_tower", "als")
    assert made(ours=tuple(VALUES)).contest() == ("two_tower", "als")
    alone = made().model_copy(update={"models": {"als": made().models["als"]}, "comparisons": [], "ours": []})
    assert alone.contest() is None
    assert verdict(alone) == "als reaches ndcg@10 0.0500; there is nothing to compare."
    assert "als reaches ndcg@10" in text(html(alone))


def test_a_flipped_comparison_says_the_same():
    test = comparison("two_tower", "als", "better")
    flipped = test.flipped()
    assert (flipped.model, flipped.other, flipped.outcome) == ("als", "two_tower", "worse")
    assert (flipped.difference, flipped.low, flipped.high) == (-test.difference, -test.high, -test.low)
    assert flipped.flipped() == test


def test_published_figures_stand_beside_their_own_protocol_alone():
    found = published(BEAUTY, "ndcg@10")
    assert found == list(PUBLISHED["amazon-beauty-2014"])
    assert published(BEAUTY | {"split": "leave_one_out"}, "ndcg@10") == found
    assert published(BEAUTY, "recall@20") == []
    for change in (
        {"dataset": "my-beauty"},
        {"split": {"strategy": "time"}},
        {"part": "validation"},
        {"users": 22_000},
        {"candidates": "100 sampled"},
    ):
        assert published(BEAUTY | change, "ndcg@10") == []
    assert "published elsewhere" not in text(html(made(dataset="amazon-beauty-2014")))
    said = text(html(made(**BEAUTY)))
    assert "published elsewhere" in said
    assert "SASRec, sampled softmax 0.0531 Tikhonovich et al. 2025" in said


def test_the_table_shows_every_model_with_the_interval_of_the_primary_measure():
    console = Console(width=100, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(table(made()))
    said = console.export_text()
    assert re.search(r"two_tower +0\.0600 +0\.0100 to 0\.0900 +0\.\d{4}", said)
    assert [line.split()[0] for line in said.splitlines() if " to 0.0900" in line] == list(VALUES)
    assert verdict(made())[:40] in said
