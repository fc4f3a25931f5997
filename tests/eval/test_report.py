"""report.json, the table and report.html say the same, and nothing that no test allows."""

import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from html import escape
from html.parser import HTMLParser
from pathlib import Path

import orjson
import pytest
from rich.console import Console

from aisle.data.errors import InputError
from aisle.eval.report import Report, table, write_report
from aisle.eval.report.html import html
from aisle.eval.report.learning import learning_plots
from aisle.eval.report.published import PUBLISHED, published
from aisle.eval.report.schema import Comparison, Estimate, Method, RunCounts, Slice
from aisle.eval.report.verdict import evidence, verdict

HOSTILE = '<b>&"k$nn$'
BEAUTY = {
    "dataset": "amazon-beauty-2014",
    "users": 22_363,
    "split": {"strategy": "leave_one_out"},
    "part": "test",
    "candidates": "all items",
}
VALUES = {"two_tower": 0.06, "als": 0.05, "bm25": 0.031, HOSTILE: 0.02}
MEASURES = ("recall@1", "recall@10", "ndcg@1", "ndcg@10", "coverage@1", "coverage@10")


def comparison(model: str, other: str, outcome: str) -> Comparison:
    difference = VALUES[model] - VALUES[other]
    p = 0.5 if outcome == "undecided" else 0.0003
    return Comparison(
        measure="ndcg@10",
        model=model,
        other=other,
        difference=difference,
        low=difference - 0.004,
        high=difference + 0.004,
        p=p,
        p_holm=min(1, 6 * p),
        outcome=outcome,
    )


def made(outcome: str = "better", *, ours: tuple[str, ...] = ("two_tower",), **protocol) -> Report:
    """A report whose comparisons all have one outcome."""
    names = list(VALUES)
    models = {}
    for model, value in VALUES.items():
        models[model] = {}
        for at, measure in enumerate(MEASURES):
            here = value * (1 + at / 7)
            width = None if "coverage" in measure else 0.005
            low, high = (None, None) if width is None else (here - width, here + width)
            models[model][measure] = Estimate(value=here, low=low, high=high)
    for model, value in VALUES.items():
        models[model]["ndcg@10"] = Estimate(value=value, low=0.01, high=0.09)
    return Report(
        protocol={"dataset": "shop", "users": 1234, "relevant": 2345, "catalogue": 99} | protocol,
        models=models,
        primary="ndcg@10",
        ours=list(ours),
        comparisons=[comparison(a, b, outcome) for at, a in enumerate(names) for b in names[at + 1 :]],
        runs={
            name: RunCounts(rows=9, users_without_results=0, users_ignored=0, longest=10, items_outside=None)
            for name in names
        },
        method=Method(confidence=0.95, resamples=1000, permutations=10_000, seed=0),
        warnings=["bm25 leaves out 3 of 1234 users; they score 0."],
        versions={"aisle": "0.1.0"},
    ).with_context(
        counts={
            "events": {
                "rows_in": 4321,
                "kept": 4000,
                "rejected": {"rating out of range": 321},
                "repaired": {},
            },
            "parts": {"train": {"events": 3000, "users": 50}, "test": {"events": 1000, "users": 40}},
            "files": [{"file": "events.csv", "rows": 4321}],
            "order": "time",
        },
        timings={"train": 812.25},
        settings={"retriever": {"dim": 128}},
        versions={"torch": "2.13.0"},
        learning_curve=[
            {"phase": "search", "epoch": 1, "loss": 7.5, "ndcg@10": 0.03},
            {"phase": "search", "epoch": 2, "loss": 7.0, "ndcg@10": 0.04},
            {"phase": "refit", "epoch": 1, "loss": 7.25},
        ],
    )


def tree(page: str) -> ET.Element:
    return ET.fromstring(page.removeprefix("<!DOCTYPE html>"))


def text(page: str) -> str:
    body = tree(page).find("body")
    assert body is not None
    return " ".join(" ".join(body.itertext()).split())


def test_json_has_the_form_of_the_documentation(tmp_path):
    report = made()
    as_json, _ = write_report(report, tmp_path / "new" / "folder")
    found = orjson.loads(as_json.read_bytes())
    assert found["models"]["als"]["ndcg@10"] == {"value": 0.05, "low": 0.01, "high": 0.09}
    assert found["models"]["als"]["coverage@1"]["low"] is None
    assert Report.read(tmp_path / "new" / "folder") == report


def test_every_field_is_documented():
    documentation = (Path(__file__).parents[2] / "docs" / "report.md").read_text()
    for part in (Report, Estimate, Comparison, RunCounts, Slice, Method):
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
    again = report.with_context(timings={"index": 1.0})
    assert (again.timings, again.counts) == ({"index": 1.0}, report.counts)


def test_the_page_is_well_formed_and_needs_nothing_from_elsewhere():
    page = html(made(**BEAUTY))
    for element in tree(page).iter():
        for name, value in element.attrib.items():
            if name.rpartition("}")[2] in ("src", "href", "srcset", "data", "action", "poster"):
                assert value.startswith("#"), f"{element.tag} {name}={value}"
        assert element.tag not in ("script", "link", "iframe", "object", "embed", "img")
    assert re.findall(r"url\((?!#)", page) == []
    assert "@import" not in page


def test_every_tag_is_closed_for_html_parsers_too():
    class Balance(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.open: list[str] = []

        def handle_startendtag(self, tag, attrs):
            """Closed where it is opened."""

        def handle_starttag(self, tag, attrs):
            self.open.append(tag)

        def handle_endtag(self, tag):
            assert self.open.pop() == tag

    parser = Balance()
    parser.feed(html(made()))
    assert parser.open == []


def test_ids_are_unique_and_all_that_is_referred_to_is_there():
    page = html(made())
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="|url\()#([^")]+)', page)) <= set(ids)


def test_figures_of_the_page_equal_the_json():
    report = made()
    cells = {}
    for cell in tree(html(report)).iter("td"):
        if "data-model" in cell.attrib:
            figures = [float(data.attrib["value"]) for data in cell.iter("data")]
            cells.setdefault((cell.attrib["data-model"], cell.attrib["data-measure"]), []).append(figures)
            assert all(data.text == f"{float(data.attrib['value']):.4f}" for data in cell.iter("data"))
    expected = {}
    for model, estimates in report.models.items():
        for measure, found in estimates.items():
            numbers = (found.value, found.low, found.high)
            expected[model, measure] = [number for number in numbers if number is not None]
    assert {key: figures[0] for key, figures in cells.items()} == expected
    assert all(figures == [figures[0]] * len(figures) for figures in cells.values())


@pytest.mark.parametrize(("outcome", "word"), [("better", "better than"), ("worse", "worse than")])
def test_the_verdict_comes_first_and_has_its_interval(outcome, word):
    report = made(outcome)
    said = text(html(report))
    sentence = f"two_tower is {word} als, the best baseline: ndcg@10 0.0600 against 0.0500 (+20.0%)."
    assert verdict(report) == sentence
    assert said.index(sentence) < said.index("How the models rank")
    assert "Difference +0.0100, 95% interval +0.0060 to +0.0140" in evidence(report)
    assert evidence(report) in said


def test_no_word_that_no_test_allows():
    report = made("undecided")
    assert verdict(report).startswith("No difference shown between two_tower and als, the best baseline")
    for said in (text(html(report)), verdict(report), evidence(report)):
        assert not re.search(r"\b(better|worse)\b", said)


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


def test_names_are_shown_as_they_are():
    page = html(made())
    assert HOSTILE in text(page)
    assert HOSTILE not in page


def test_background_is_on_the_page():
    said = text(html(made()))
    for piece in (
        "rejected: rating out of range 321",
        "in 4,321",
        "train 812.2",
        "retriever.dim 128",
        "torch 2.13.0",
        "bm25 leaves out 3 of 1234 users",
        "test 1,000 40",
        "search refit",
        "users tested",
    ):
        assert piece in said, piece


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


def test_a_single_cut_off_draws_no_curves():
    report = made()
    models = {name: {"ndcg@10": found["ndcg@10"]} for name, found in report.models.items()}
    said = text(html(report.model_copy(update={"models": models, "learning_curve": [], "counts": {}})))
    for heading in ("From the first place", "How the model learned", "What became of the data"):
        assert heading not in said


def test_the_table_shows_every_model_with_the_interval_of_the_primary_measure():
    console = Console(width=100, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(table(made()))
    said = console.export_text()
    assert re.search(r"two_tower +0\.0600 +0\.0100 to 0\.0900 +0\.\d{4}", said)
    assert [line.split()[0] for line in said.splitlines() if " to 0.0900" in line] == list(VALUES)
    assert verdict(made())[:40] in said


FRAME = """<!DOCTYPE html><title>not loaded</title>
<iframe style="border: 0; width: {width}px; height: 2000px" srcdoc="{page}" onload="
  const root = this.contentDocument.documentElement;
  document.title = root.scrollWidth + ' of ' + this.contentWindow.innerWidth"></iframe>"""
"""Browsers refuse windows as narrow as a phone, but not frames."""


@pytest.mark.parametrize("width", [360, 1200])
def test_a_real_browser_shows_it_without_overflow_or_complaint(tmp_path, width):
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no chromium on this machine")
    page = html(made(**BEAUTY)).replace("<details>", "<details open='open'>")
    (tmp_path / "report.html").write_text(FRAME.format(width=width, page=escape(page)))
    flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--enable-logging=stderr",
        f"--user-data-dir={tmp_path}/b",
    ]
    shown = subprocess.run(
        [browser, *flags, "--window-size=1400,2000", "--dump-dom", f"file://{tmp_path}/report.html"],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    title = re.search(r"<title>(\d+) of (\d+)</title>", shown.stdout)
    assert title is not None, shown.stdout[:500]
    assert int(title[1]) <= int(title[2]) == width
    assert "CONSOLE" not in shown.stderr


def test_several_towers_have_a_colour_each_and_dashes_for_the_refit():
    rows = [
        {"tower": tower, "phase": phase, "epoch": epoch, "loss": 7.0 - epoch - place}
        for place, tower in enumerate(("text+ids", "ids", "text"))
        for phase in ("search", "refit")
        for epoch in (1, 2)
    ]
    (plot,) = learning_plots(made().model_copy(update={"learning_curve": rows}))
    assert plot["key"] == [("ours", "text+ids"), ("rival", "ids"), ("other", "text")]
    for tower in ("text+ids", "ids", "text"):
        for phase in ("search", "refit"):
            assert f"<title>{tower} {phase}</title>" in plot["svg"]
    assert plot["svg"].count("stroke-dasharray") == 3
    assert "dashed: refit" in plot["svg"]
