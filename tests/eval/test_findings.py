"""What a report says in short follows from its figures, and claims nothing that no test allows."""

import re

import pytest
from reports import comparison, full, leaked, made

from aisle.eval.report.context import Context
from aisle.eval.report.findings import findings, smallest_shown, users_needed
from aisle.eval.report.schema import Estimate, Report
from aisle.eval.report.sections.slices import parts


def said(report: Report) -> dict[str, str]:
    """Text by the section it points to; the first one each."""
    found: dict[str, str] = {}
    for one in findings(report):
        found.setdefault(one.section, f"{one.head} {one.text}".strip())
    return found


def test_a_model_that_wins_earns_a_trial_and_one_that_loses_does_not():
    assert said(made("better"))["tests"].startswith("two_tower has earned a trial.")
    assert said(made("worse"))["tests"].startswith("two_tower is not ready. Stay with als.")


def test_undecided_says_what_it_would_take():
    """The interval is 0.008 wide, and among 6 comparisons the first one has to be beyond 5% / 6."""
    report = made("undecided")
    test = comparison("two_tower", "als", "undecided")
    error, z = 0.008 / (2 * 1.959964), 2.638257
    assert smallest_shown(test, report) == pytest.approx(z * error)
    assert users_needed(test, report) == pytest.approx(1234 * ((z + 0.84) * error / 0.01) ** 2, abs=1)
    narrow = test.model_copy(update={"difference": 0.001})
    assert users_needed(narrow, report) == pytest.approx(1234 * ((z + 0.84) * error / 0.001) ** 2, abs=1)
    wide = report.model_copy(update={"comparisons": [narrow, *report.comparisons[1:]]})
    assert "To show one of 0.0010 takes about 62,000 users; here are 1,234." in said(wide)["tests"]
    assert "differences below about 0.0054 cannot be told from chance" in said(wide)["tests"]


def test_no_word_that_no_test_allows():
    words = " ".join(said(made("undecided", ours=("two_tower", "bm25"))).values())
    assert "No difference shown between two_tower and bm25, of which it is made." in " ".join(
        one.head for one in findings(made("undecided", ours=("two_tower", "bm25")))
    )
    assert not re.search(r"\b(better|worse|best)\b", words)


def test_what_order_and_what_retrieval_could_win():
    """Recall is .06 x 8/7 in the first 10 places here, and .4 in the whole lists."""
    report = made()
    models = {
        model: found | {"recall@100": Estimate(value=0.4, low=0.3, high=0.5)}
        for model, found in report.models.items()
    }
    assert said(report.model_copy(update={"models": models}))["curves"] == (
        "Lists of 100 hold 40% of what users wanted. The first 10 places hold 7%. A perfect order of these "
        "lists would win 33 points, a retrieval that misses nothing another 60."
    )


def test_parts_are_named_only_where_their_interval_lies_below_that_of_all_and_users_are_many():
    report = full()
    assert "slices" not in said(report)
    low = {name: {"ndcg@10": Estimate(value=0.001, low=0.0, high=0.002)} for name in report.models}
    slices = {
        name: part.model_copy(update={"models": low}) if name.startswith("new") else part
        for name, part in report.slices.items()
    }
    assert said(report.model_copy(update={"slices": slices}))["slices"] == (
        "two_tower finds least for new users. ndcg@10 is 0.0010 there (40 users), and 0.0600 over all."
    )


def test_parts_are_better_or_worse_only_where_they_were_tested():
    def with_tests(*outcomes: str) -> Report:
        report = full()
        tests = [comparison("als", "two_tower", outcome) for outcome in outcomes]  # told from the other side
        slices = {
            name: part.model_copy(update={"comparison": test})
            for (name, part), test in zip(report.slices.items(), tests, strict=True)
        }
        return report.model_copy(update={"slices": slices})

    mixed = with_tests("better", "worse", "undecided", "undecided")
    heads = [one.head for one in findings(mixed) if one.section == "slices"]
    assert heads == ["two_tower is worse for new users.", "two_tower is better for known users."]
    (users, items, price) = parts(mixed)
    assert "40 users, worse" in users.svg
    assert "900 users, better" in users.svg
    assert [row[-1] for row in users.tables[0].rows] == ["worse", "better"]
    assert "better" not in items.svg + price.svg
    assert not [one for one in findings(with_tests(*["undecided"] * 4)) if one.section == "slices"]


def test_popularity_calibration_and_customers():
    found = said(full())
    assert found["spread"] == (
        "The most popular tenth of the catalogue takes 70% of the first 10 places. Users wanted it in 30% of "
        "the cases. 10% of the catalogue is shown to anybody at all. The tail is hidden from users who want "
        "it: look at items that are never shown."
    )
    assert found["calibration"].startswith("Probabilities of two_tower are off by 0.40 percentage points")
    assert found["customers"].startswith(
        "Buyers' opinion of 1 items and aspects got worse lately, of 1 better."
    )
    assert "calibration" not in said(full().with_context(Context(calibration=None)))


def test_leaks_come_first_and_say_what_to_do():
    found = leaked("suspicion", "leak")
    first = findings(full().model_copy(update={"leaks": found}))[0]
    assert (first.tone, first.section) == ("bad", "leaks")
    assert first.head == "Do not trust these figures: 1 leak was found."
    first = findings(full().model_copy(update={"leaks": leaked("suspicion")}))[0]
    assert (first.tone, first.head) == ("open", "1 thing here may be too good to be true.")
    assert first.text == "A suspicion. What to do: look again."
