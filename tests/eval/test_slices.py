"""Parts of the truth are reported apart, by arithmetic that a reader can redo."""

import re
from datetime import UTC, datetime, timedelta
from math import log2

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from aisle.eval.catalogue import Catalogue
from aisle.eval.evaluate import evaluate
from aisle.eval.judging import judge
from aisle.eval.metrics.measure import USER_METRICS
from aisle.eval.metrics.ndcg import ndcg
from aisle.eval.protocol import differences
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
    assert [change.partition(":")[0] for change in differences(bare.protocol, report.protocol)] == ["past"]
    assert bare == report.model_copy(update={"slices": {}, "protocol": bare.protocol})


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
    rows = [*((user, None) for user in users), *((None, item) for item in items)]
    past = pl.DataFrame(rows, schema={"user_id": pl.String, "item_id": pl.String}, orient="row")
    assert list(slices(check_truth(TRUTH), Known.of(past, TRUTH))) == parts


def test_a_user_who_wanted_nothing_counts_among_users_and_in_no_part_of_items():
    nothing = pl.DataFrame({"user_id": ["stranger"], "item_id": ["soap"], "relevance": [0]})
    truth = check_truth(pl.concat([TRUTH.with_columns(relevance=pl.lit(1)), nothing], how="vertical_relaxed"))
    found = slices(truth, Known.of(PAST, TRUTH))
    assert list(found["new users"].truth.users.values) == ["newcomer", "stranger"]
    assert not any("stranger" in found[part].truth.users for part in ("new items", "known items"))


def test_ids_as_whole_numbers():
    wanted = pl.DataFrame({"user_id": [1, 2], "item_id": [10, 11]})
    past = pl.DataFrame({"user_id": [1, 1], "item_id": [10, 11]})
    found = slices(check_truth(wanted), Known.of(past, wanted))
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


NOW = datetime(2024, 1, 1, tzinfo=UTC)


def happened(*events: tuple[str, str, int, float | None]) -> pl.DataFrame:
    """Events of (user, item, days ago, stars)."""
    rows = [(user, item, NOW - timedelta(days=days), stars) for user, item, days, stars in events]
    return pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp", "rating"], orient="row")


def wanted(*pairs: tuple[str, str]) -> pl.DataFrame:
    rows = [(user, item, NOW) for user, item in pairs]
    return pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")


def named(past: pl.DataFrame, truth: pl.DataFrame, items: pl.DataFrame | None = None) -> dict[str, list[str]]:
    """Pairs of each part, as "user item"."""
    known = Known.of(past, truth, None if items is None else Catalogue.of(items))
    found = {}
    for name, part in slices(check_truth(truth), known).items():
        users = part.truth.users.values.gather(part.truth.frame["user"])
        found[name] = sorted(
            f"{user} {item}" for user, item in zip(users, part.truth.frame["item_id"], strict=True)
        )
    return found


def test_head_torso_and_tail_share_the_events() -> None:
    times = {"a": 4, "b": 2, "c": 2, "d": 2, "e": 1, "f": 1}  # thirds of 12 end behind a, and within b, c, d
    past = happened(*(("u", item, 1, None) for item, many in times.items() for _ in range(many)))
    found = named(past, wanted(*(("u", item) for item in [*times, "new"])))
    assert found["popularity: head"] == ["u a"]
    assert found["popularity: torso"] == ["u b", "u c", "u d"]
    assert found["popularity: tail"] == ["u e", "u f"]
    assert found["new items"] == ["u new"]


def test_the_catalogue_may_tell_the_popularity() -> None:
    items = pl.DataFrame({"item_id": ["a", "b", "c"], "events": [9, 9, 1]})
    known = Known.of(None, TRUTH, Catalogue.of(items))
    found = slices(check_truth(wanted(("u", "a"), ("v", "c"))), known)
    assert [(name, part.truth.frame["item_id"].to_list()) for name, part in found.items()] == [
        ("popularity: head", ["a"]),
        ("popularity: tail", ["c"]),
    ]


def test_users_are_told_apart_by_the_length_of_their_history() -> None:
    lengths = {"none": 0, "one": 1, "four": 4, "five": 5, "fifty": 50}
    past = happened(*((user, "a", 1, None) for user, many in lengths.items() for _ in range(many)))
    found = named(past, wanted(*((user, "a") for user in lengths)))
    assert {name: pairs for name, pairs in found.items() if name.startswith("history")} == {
        "history: 1 to 4 events": ["four a", "one a"],
        "history: 5 to 9 events": ["five a"],
        "history: 50 events and more": ["fifty a"],
    }
    assert found["new users"] == ["none a"]


def test_users_are_told_apart_by_the_time_that_they_were_away() -> None:
    away = {"yesterday": 1, "days": 2, "week": 7, "month": 30, "year": 365, "long": 366}
    past = happened(*((user, "a", days, None) for user, days in away.items()), ("long", "a", 900, None))
    found = named(past, wanted(*((user, "a") for user in away)))
    assert {name: pairs for name, pairs in found.items() if name.startswith("last event")} == {
        "last event: a day before, at most": ["yesterday a"],
        "last event: a day to a week before": ["days a", "week a"],
        "last event: a week to a month before": ["month a"],
        "last event: a month to a year before": ["year a"],
        "last event: over a year before": ["long a"],
    }
    without = wanted(*((user, "a") for user in away)).drop("timestamp")
    assert not any(name.startswith("last event") for name in named(past, without))


def test_categories_are_those_of_the_first_level_that_tells_apart() -> None:
    paths = {f"i{at}": ["Shop", f"kind {min(at // 2, 9)}"] for at in range(20)} | {"none": None}
    items = pl.DataFrame({"item_id": list(paths), "categories": list(paths.values())})
    past = happened(*((f"u{at}", item, 1, None) for at, item in enumerate(paths)))
    truth = wanted(*((f"u{at}", item) for at, item in enumerate(paths)))
    found = {
        name: len(pairs) for name, pairs in named(past, truth, items).items() if name.startswith("category")
    }
    assert found == {f"category: kind {at}": 2 for at in range(8)} | {
        "category: others": 4,
        "category: unknown": 1,
    }


def test_price_bands_hold_equally_many_items() -> None:
    prices = {f"i{at}": float(at) for at in range(1, 9)} | {"gift": None}
    items = pl.DataFrame({"item_id": list(prices), "price": list(prices.values())})
    truth = wanted(*(("u", item) for item in ("i2", "i3", "i8", "gift")))
    found = named(happened(("u", "i1", 1, None)), truth, items)
    assert {name: pairs for name, pairs in found.items() if name.startswith("price")} == {
        "price: up to 2.00": ["u i2"],
        "price: 2.00 to 4.00": ["u i3"],
        "price: above 6.00": ["u i8"],
        "price: unknown": ["u gift"],
    }


def test_sentiment_is_that_of_past_stars_or_as_the_catalogue_says() -> None:
    stars = {"bad": (1, 2, 1), "good": (4, 4, 4), "best": (5, 5, 4, 5), "few": (5, 5)}
    past = happened(*(("u", item, 1, star) for item, given in stars.items() for star in given))
    truth = wanted(*(("u", item) for item in stars))
    found = named(past, truth)
    assert {name: pairs for name, pairs in found.items() if name.startswith("sentiment")} == {
        "sentiment: 3 stars at most": ["u bad"],
        "sentiment: more than 3 to 4 stars": ["u good"],
        "sentiment: more than 4.5 stars": ["u best"],
        "sentiment: fewer than 3 ratings": ["u few"],
    }
    items = pl.DataFrame({"item_id": list(stars), "sentiment": [0.1, 0.5, 0.9, None]})
    found = named(past, truth, items)
    assert {name: pairs for name, pairs in found.items() if name.startswith("sentiment")} == {
        "sentiment: mostly negative": ["u bad"],
        "sentiment: mixed": ["u good"],
        "sentiment: mostly positive": ["u best"],
        "sentiment: no reviews": ["u few"],
    }


@pytest.mark.parametrize("measure", ["recall", "ndcg", "ndcg_exp", "mrr", "map", "hit_rate", "r_precision"])
def test_parts_are_as_if_their_truth_were_all(measure: str) -> None:
    """The slow way: the run judged anew by the truth of the part."""
    rng = np.random.default_rng(1)
    pairs = pl.DataFrame({"u": rng.integers(40, size=200), "i": rng.integers(30, size=200)}).unique()
    pairs = pairs.sort("u", "i").select(
        pl.format("u{}", "u").alias("user_id"),
        pl.format("i{}", "i").alias("item_id"),
        relevance=1.0 + pl.col("i") % 3,
    )
    answered = run(**{f"u{u}": [f"i{i}" for i in rng.permutation(30)[:12]] for u in range(35)})
    past = happened(
        *((f"u{u}", f"i{rng.integers(20)}", 1, None) for u in range(30) for _ in range(u % 9 + 1))
    )
    truth = check_truth(pairs)
    asked = f"{measure}@5"
    settings = EvaluateSettings(k=(5,), metrics=(measure,), primary=asked, tested=(asked,), resamples=100)
    found = evaluate(pairs, {"mine": answered}, past=past, settings=settings).slices
    parts = slices(truth, Known.of(past, pairs))
    assert set(parts) == set(found)
    assert len(parts) >= 8
    for name, part in parts.items():
        judged = judge(check_run(answered, part.truth, "mine"), part.truth, depth=5)
        expected = USER_METRICS[measure](judged, 5).mean()
        assert found[name].models["mine"][asked].value == pytest.approx(expected, abs=1e-12)


def test_the_two_models_of_the_verdict_are_tested_on_every_part() -> None:
    """One model finds everything of new users, the other of known ones; each half of 60 users."""
    users = [f"u{at:02}" for at in range(60)]
    truth = wanted(*((user, "a") for user in users))
    runs = {
        "ours": run(**{user: ["a"] if at < 30 else ["b"] for at, user in enumerate(users)}),
        "theirs": run(**{user: ["b"] if at < 30 else ["a"] for at, user in enumerate(users)}),
    }
    past = happened(*((user, "a", 1, None) for user in users[30:]))
    found = evaluate(truth, runs, past=past, settings=QUICK, ours=["ours"])
    outcomes = {name: part.comparison and part.comparison.outcome for name, part in found.slices.items()}
    assert outcomes == {"new users": "better", "known users": "worse"}
    for part in found.slices.values():
        assert part.comparison is not None
        assert (part.comparison.model, part.comparison.other) == ("ours", "theirs")
        assert part.comparison.p_holm == pytest.approx(2 * part.comparison.p)
    same = evaluate(truth, runs | {"ours": runs["theirs"]}, past=past, settings=QUICK, ours=["ours"])
    assert all(part.comparison and part.comparison.outcome == "undecided" for part in same.slices.values())
