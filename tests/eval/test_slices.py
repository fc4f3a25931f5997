"""New users and new items are reported apart, by arithmetic that a reader can redo."""

import re
from math import log2

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from aisle.eval.evaluate import evaluate
from aisle.eval.judged import judge
from aisle.eval.metrics.ndcg import ndcg
from aisle.eval.report import tables
from aisle.eval.report.html import html
from aisle.eval.runs import check_run, check_truth
from aisle.eval.settings import EvaluateSettings
from aisle.eval.slices import Known, slices

QUICK = EvaluateSettings(k=(10,), metrics=("recall", "ndcg"), resamples=100, permutations=1000)
TRUTH = pl.DataFrame(
    [("old1", "soap"), ("old1", "new soap"), ("old2", "comb"), ("newcomer", "new soap")],
    schema=["user_id", "item_id"],
    orient="row",
)
PAST = pl.DataFrame({"user_id": ["old2", "old1", "old3"], "item_id": ["comb", None, "soap"]})
PARTS = ["new users", "known users", "new items", "known items"]


def run(**lists: list[str]) -> pl.DataFrame:
    """A run from the lists of its users, best first."""
    rows = [(user, item, -at) for user, items in lists.items() for at, item in enumerate(items)]
    return pl.DataFrame(rows, schema=["user_id", "item_id", "score"], orient="row")


RUNS = {
    "seeks_new": run(old1=["new soap"], old2=["new soap"], newcomer=["new soap"]),
    "repeats": run(old1=["comb", "soap"], old2=["comb"]),
    "both": run(old1=["soap", "new soap"], old2=["new soap", "comb"], newcomer=["soap", "comb", "new soap"]),
}
SECOND, THIRD = 1 / log2(3), 1 / log2(4)
"""Discounts of the ranks 2 and 3."""


@pytest.fixture(scope="module")
def report():
    return evaluate(TRUTH, RUNS, past=PAST, settings=QUICK, ours=["seeks_new"])


def test_sizes_are_those_of_the_parts(report):
    sizes = {name: (part.users, part.pairs) for name, part in report.slices.items()}
    assert sizes == {"new users": (1, 1), "known users": (2, 3), "new items": (2, 2), "known items": (2, 2)}
    assert list(sizes) == PARTS


@pytest.mark.parametrize(
    ("model", "recalls"),
    [
        ("seeks_new", [1, (1 / 2 + 0) / 2, 1, 0]),
        ("repeats", [0, (1 / 2 + 1) / 2, 0, 1]),
        ("both", [1, 1, 1, 1]),
    ],
)
def test_recall_in_each_part(report, model, recalls):
    found = [report.slices[part].models[model]["recall@10"].value for part in PARTS]
    assert found == pytest.approx(recalls)


@pytest.mark.parametrize(
    ("model", "ndcgs"),
    [
        ("seeks_new", [1, (1 / (1 + SECOND) + 0) / 2, 1, 0]),
        ("repeats", [0, (SECOND / (1 + SECOND) + 1) / 2, 0, (SECOND + 1) / 2]),
        ("both", [THIRD, (1 + SECOND) / 2, (SECOND + THIRD) / 2, (1 + SECOND) / 2]),
    ],
)
def test_items_of_the_other_kind_keep_their_places(report, model, ndcgs):
    found = [report.slices[part].models[model]["ndcg@10"].value for part in PARTS]
    assert found == pytest.approx(ndcgs)


def test_the_tested_measures_alone_are_reported_apart():
    settings = QUICK.model_copy(update={"metrics": ("recall", "ndcg", "mrr"), "k": (1, 10)})
    found = evaluate(TRUTH, RUNS, past=PAST, settings=settings)
    for part in found.slices.values():
        assert all(list(model) == ["ndcg@10", "recall@10"] for model in part.models.values())


def test_the_whole_is_as_without_slices(report):
    bare = evaluate(TRUTH, RUNS, settings=QUICK, ours=["seeks_new"])
    assert bare.slices == {}
    assert bare == report.model_copy(update={"slices": {}})


@pytest.mark.parametrize(
    ("users", "items", "parts"),
    [
        (["old1", "old2", "newcomer"], ["soap", "comb", "new soap"], []),
        (["old1"], ["soap", "comb", "new soap"], ["new users", "known users"]),
        ([], ["soap", "comb", "new soap"], ["new users"]),
        (["old1", "old2", "newcomer"], ["soap"], ["new items", "known items"]),
        (["old1", "old2", "newcomer"], [], ["new items"]),
    ],
)
def test_empty_parts_are_left_out_and_both_where_nothing_is_new(users, items, parts):
    known = Known(pl.Series(users, dtype=pl.String), pl.Series(items, dtype=pl.String))
    assert list(slices(check_truth(TRUTH), known)) == parts


def test_a_user_who_wanted_nothing_counts_among_users_and_in_no_part_of_items():
    nothing = pl.DataFrame({"user_id": ["stranger"], "item_id": ["soap"], "relevance": [0]})
    truth = check_truth(pl.concat([TRUTH.with_columns(relevance=pl.lit(1)), nothing], how="vertical_relaxed"))
    found = slices(truth, Known.of(PAST))
    assert list(found["new users"].truth.users.values) == ["newcomer", "stranger"]
    assert not any("stranger" in found[part].truth.users for part in ("new items", "known items"))


def test_ids_as_whole_numbers():
    truth = check_truth(pl.DataFrame({"user_id": [1, 2], "item_id": [10, 11]}))
    found = slices(truth, Known(users=pl.Series([1]), items=pl.Series([10, 11])))
    assert {name: list(part.truth.users.values) for name, part in found.items()} == {
        "new users": ["2"],
        "known users": ["1"],
    }


def test_parts_of_users_hold_the_scores_that_the_users_have_in_the_whole():
    rng = np.random.default_rng(0)
    pairs = pl.DataFrame({"u": rng.integers(60, size=300), "i": rng.integers(30, size=300)}).unique()
    pairs = pairs.sort("u", "i").select(
        pl.format("u{}", "u").alias("user_id"),
        pl.format("i{}", "i").alias("item_id"),
        relevance=1.0 + pl.col("i") % 3,
    )
    answered = run(**{f"u{u}": [f"i{i}" for i in rng.permutation(30)[:12]] for u in range(55)})
    truth = check_truth(pairs)
    scores = ndcg(judge(check_run(answered, truth, "mine"), truth, depth=10), 10)
    old = np.array([int(user[1:]) % 2 == 0 for user in truth.users.values])
    known = pl.DataFrame({"user_id": truth.users.values.filter(pl.Series(old))})
    past = known.join(pairs.select("item_id").unique(), how="cross")
    found = evaluate(pairs, {"mine": answered}, past=past, settings=QUICK).slices
    for part, rows in (("new users", ~old), ("known users", old)):
        estimate = found[part].models["mine"]["ndcg@10"]
        assert estimate.value == pytest.approx(scores[rows].mean())
        assert estimate.low < estimate.value < estimate.high
        assert found[part].pairs == truth.relevant[rows].sum()


def test_the_page_and_the_terminal_show_them(report):
    page = html(report)
    cells = re.findall(
        r'data-slice="([^"]+)" data-model="([^"]+)" data-measure="([^"]+)"><data value="([^"]+)"', page
    )
    assert {(part, model, measure): float(value) for part, model, measure, value in cells} == {
        (name, model, measure): estimate.value
        for name, part in report.slices.items()
        for model, found in part.models.items()
        for measure, estimate in found.items()
    }
    console = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    for one in tables(report):
        console.print(one)
    said = console.export_text()
    assert "ndcg@10 of" in said
    assert re.search(rf"repeats +0\.0000 +0\.\d{{4}} +0\.0000 +{(SECOND + 1) / 2:.4f}", said)
    assert re.search(r"users +1 +2 +2 +2", said)


def test_nothing_is_shown_where_nothing_is_new(report):
    bare = report.model_copy(update={"slices": {}})
    assert len(tables(bare)) == 1
    assert "New and known" not in html(bare)
