"""Real users in the report: what came of each is told rightly, and chance draws them from every outcome."""

from collections import Counter
from pathlib import Path

import polars as pl

from aisle.data.prepared import Prepared
from aisle.examples import ALONE, RANKED, Lists, drawn, examples, outcomes_of

TRUTH = pl.DataFrame({"user_id": ["a", "b", "c", "d", "e", "f", "g"], "item_id": ["x"] * 7})


def run(**ranks: int | None) -> pl.DataFrame:
    """Lists of which only the place of the wanted item matters."""
    rows = [(user, rank, "x") for user, rank in ranks.items() if rank is not None]
    other = [(user, 1 if rank != 1 else 2, "y") for user, rank in ranks.items()]
    return pl.DataFrame(rows + other, schema=["user_id", "rank", "item_id"], orient="row")


BEFORE = run(a=30, b=3, c=9, d=2, e=40, f=None, g=1)
AFTER = run(a=4, b=30, c=2, d=9, e=11, f=None, g=1)


def test_outcomes_with_and_without_a_ranker(tea_run: Path) -> None:
    shop = Prepared(tea_run / "prepare")
    both = outcomes_of(Lists(shop, "test", ("fused", BEFORE), ("ranked", AFTER)), TRUTH)
    assert dict(both.iter_rows()) == dict(zip("abcdefg", RANKED, strict=True))
    alone = outcomes_of(Lists(shop, "test", ("fused", BEFORE)), TRUTH)
    found, deep, missed = ALONE
    assert alone["outcome"].to_list() == [deep, found, found, found, deep, missed, found]


def test_the_best_of_several_wanted_items_tells(tea_run: Path) -> None:
    truth = pl.DataFrame({"user_id": ["a", "a"], "item_id": ["x", "y"]})
    lists = Lists(Prepared(tea_run / "prepare"), "test", ("fused", run(a=30)))
    assert outcomes_of(lists, truth)["outcome"].to_list() == [ALONE[0]]  # y is first


def test_every_outcome_has_its_turn_and_chance_chooses_within() -> None:
    outcomes = pl.DataFrame(
        {"user_id": [f"u{n:02}" for n in range(40)], "outcome": ["good"] * 38 + ["bad"] * 2}
    )
    seen = Counter(user for seed in range(60) for user in drawn(outcomes, ["good", "bad", "none"], 2, seed))
    assert sum(count for user, count in seen.items() if user >= "u38") == 60
    assert len(seen) > 25
    assert drawn(outcomes, ["good", "bad"], 6, 3) == drawn(outcomes, ["good", "bad"], 6, 3)
    assert (
        sorted(user >= "u38" for user in drawn(outcomes, ["good", "bad"], 6, 0)) == [False] * 4 + [True] * 2
    )
    assert len(drawn(outcomes, ["bad"], 6, 0)) == 2


def test_a_user_is_shown_as_it_was(tea_run: Path) -> None:
    shop = Prepared(tea_run / "prepare")
    truth = shop.truth("test")
    candidates = pl.read_parquet(tea_run / "candidates" / "candidates.parquet")
    shown = examples(Lists(shop, "test", ("fused", candidates)), truth, 4, 0)
    assert len(shown) == 4
    assert examples(Lists(shop, "test", ("fused", candidates)), truth, 0, 0) == []
    for one in shown:
        user = pl.col("user_id") == one.user_id
        past = shop.past("test").filter(user).sort("timestamp", descending=True).collect()
        assert [event.item.item_id for event in one.history] == past["item_id"].to_list()
        assert one.events == len(past)
        assert one.history[0].date == "2023-11-14"
        assert {entry.item.item_id for entry in one.wanted} == set(truth.filter(user)["item_id"])
        (entries,) = one.lists.values()
        mine = candidates.filter(user).sort("rank")
        assert [entry.item.item_id for entry in entries] == mine["item_id"].head(5).to_list()
        assert [entry.relevant for entry in entries] == [
            entry.item.item_id in {wanted.item.item_id for wanted in one.wanted} for entry in entries
        ]
        for wanted in one.wanted:
            at = mine.filter(pl.col("item_id") == wanted.item.item_id)["rank"].to_list()
            assert wanted.ranks == {"fused": at[0] if at else None}
        assert {event.item.title.split()[1] for event in one.history} <= {"tea", "hammer"}
