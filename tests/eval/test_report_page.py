"""report.html says what report.json says, and nothing that no test allows."""

import re
from html.parser import HTMLParser

import pytest
from reports import HOSTILE, full, leaked, made, text, tree

from aisle.eval.report.html import html
from aisle.eval.report.sections.learning import learning
from aisle.eval.report.sections.slices import parts
from aisle.eval.report.verdict import evidence, verdict


def test_the_page_is_well_formed_and_needs_nothing_from_elsewhere():
    page = html(full())
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
    parser.feed(html(full()))
    assert parser.open == []


def test_ids_are_unique_and_all_that_is_referred_to_is_there():
    page = html(full())
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="|aria-labelledby="|url\()#?([^")]+)', page)) <= set(ids)


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


def test_leaks_have_a_section_of_their_own_and_are_no_warnings_besides():
    found = leaked("leak", "leak", "suspicion")
    warnings = ["Leak (time order): A leak.", "bm25 leaves out 3 of 1234 users."]
    said = text(html(full().model_copy(update={"leaks": found, "warnings": warnings})))
    assert "Leak: time order. A leak. And 1 more of the kind. What to do: look again." in said
    assert "user u, item i; user v, item j" in said
    assert "duplicates: nothing found training text: not looked for; needs the texts of items" in said
    assert "Leak (time order)" not in said
    assert "bm25 leaves out" in said
    assert "Leaks make values" not in text(html(made()))


def test_users_are_shown_with_reasons_and_what_they_wanted():
    said = text(html(full()))
    for piece in (
        "Found, and moved up 12% of all users are like this. User u-1 , 12 earlier events.",
        "Kettle & <sieve> Acme · 19.90 · Kitchen two_tower: place 2 · als: place 1",
        "↑ from 2 · said 3.1%",
        "with a very long name ” +0.80 price +0.25",
        "Boils fast, pours well.",
        "review · 4 of 5 stars · 2024-05-06",
        "Nothing: a new user.",
    ):
        assert piece in said, piece


def test_sampled_values_stand_beside_the_exact_ones():
    said = text(html(full()))
    assert "among 99 others among all items two_tower ndcg@10 0.5600 0.0600 als ndcg@10 0.5500 0.0500" in said
    assert "among 99 others" not in text(html(made()))


def test_what_sampling_does_stands_beside_the_sampled_values_alone():
    report = full()
    assert report.sampled is not None
    said = text(html(report.model_copy(update={"warnings": [*report.sampled.notes, "Another warning."]})))
    assert said.count("Sampled metrics are no estimates. Sampling swaps nobody.") == 1
    assert said.index("Another warning.") < said.index("Sampled ndcg@10 Sampled metrics are no estimates.")
    assert said.count("Sampling swaps nobody.") == 1


def test_every_seed_stands_below_the_mean():
    said = text(html(full()))
    assert "two_tower, mean: 0.0600, 0.0" in html(full())
    assert "two_tower, seed 1: 0.0620" in html(full())
    assert "model, seed ndcg@10 two_tower, 0 0.0580 two_tower, 1 0.0620" in said
    assert "by seed" not in text(html(made()))


def test_every_kind_of_parts_has_a_plot():
    figures = parts(full())
    assert [figure.title for figure in figures] == ["users", "items", "price"]
    assert "up to 9.99" in figures[2].svg
    assert "two_tower, new users: 0.0600, 0.0100 to 0.0900" in figures[0].svg


def test_what_buyers_say_is_on_the_page():
    said = text(html(full()))
    assert (
        "Of 321 items and aspects with enough reviews, 1 got worse and 1 better; about 10% of these" in said
    )
    assert "Kettle & <sieve>: price 0.75 → 0.45 Too dear now." in said
    assert "all items: price 0.75 → 0.95" in said
    assert "price 80 0.60 20% Fair. Too dear." in said


def test_names_are_shown_as_they_are():
    page = html(made())
    assert HOSTILE in text(page)
    assert HOSTILE not in page


def test_background_is_on_the_page():
    said = text(html(made()))
    for piece in (
        "rejected: rating out of range 321",
        "in 4,321",
        "train 13 min 32 s",
        "Settings of retriever key value dim 128",
        "torch 2.13.0",
        "bm25 leaves out 3 of 1234 users",
        "test 1,000 40",
        "search refit",
        "users tested",
    ):
        assert piece in said, piece


def test_a_single_cut_off_draws_no_curves():
    report = made()
    models = {name: {"ndcg@10": found["ndcg@10"]} for name, found in report.models.items()}
    said = text(html(report.model_copy(update={"models": models, "learning_curve": [], "counts": {}})))
    for heading in ("From the first place", "How the model learned", "What became of the data"):
        assert heading not in said


def test_several_towers_have_a_colour_each_and_dashes_for_the_refit():
    rows = [
        {"tower": tower, "phase": phase, "epoch": epoch, "loss": 7.0 - epoch - place}
        for place, tower in enumerate(("text+ids", "ids", "text"))
        for phase in ("search", "refit")
        for epoch in (1, 2)
    ]
    (plot,) = learning(made().model_copy(update={"learning_curve": rows}))
    assert plot.key == [("ours", "text+ids"), ("rival", "ids"), ("other", "text")]
    for tower in ("text+ids", "ids", "text"):
        for phase in ("search", "refit"):
            assert f"<title>{tower} {phase}</title>" in plot.svg
    assert plot.svg.count("dashed") == 3 + 1
    assert "dashed: refit" in plot.svg
