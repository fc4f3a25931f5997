"""Numbers of two protocols are not compared, and the difference is named."""

import numpy as np
import polars as pl
import pytest

from aisle.data.errors import InputError
from aisle.eval.catalogue import Catalogue
from aisle.eval.changes import Evaluation, changes
from aisle.eval.evaluate import evaluate
from aisle.eval.protocol import (
    catalogue_checksum,
    describe,
    differences,
    fingerprint,
    past_checksum,
    require_same,
)
from aisle.eval.runs import check_truth
from aisle.eval.settings import EvaluateSettings

ROWS = [("u", "a", 1), ("u", "b", 2), ("v", "a", 1)]


def truth(rows=ROWS):
    return check_truth(pl.DataFrame(rows, schema=["user_id", "item_id", "relevance"], orient="row"))


def described(given=None, rows=ROWS, k=(10,), size: int | None = 5):
    return describe(given or {}, truth(rows), k, None if size is None else Catalogue(size))


def test_a_protocol_says_what_was_given_and_what_was_seen():
    protocol = described({"dataset": "shop", "split": {"strategy": "time"}})
    assert protocol["dataset"] == "shop"
    assert protocol["split"] == {"strategy": "time"}
    assert protocol["masking"] == "as given"
    assert (protocol["users"], protocol["relevant"], protocol["catalogue"]) == (2, 3, 5)
    assert (protocol["k"], protocol["ties"]) == ([10], "against")


def test_the_fingerprint_is_of_the_content_and_not_of_the_order():
    one = described({"a": 1, "b": 2})
    other = described({"b": 2, "a": 1}, rows=ROWS[::-1])
    assert one["fingerprint"] == other["fingerprint"] == fingerprint(one)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"given": {"split": {"strategy": "time"}}}, "split.strategy"),
        ({"given": {"masking": "seen"}}, "masking"),
        ({"given": {"filter": "5-core"}}, "filter"),
        ({"k": (10, 20)}, "k"),
        ({"size": 6}, "catalogue"),
        ({"rows": ROWS[:2]}, "users"),
        ({"rows": [("u", "a", 1), ("u", "b", 2), ("v", "b", 1)]}, "truth"),
        ({"rows": [("u", "a", 1), ("u", "b", 1), ("v", "a", 1)]}, "truth"),
    ],
)
def test_any_change_is_refused_and_named(change, named):
    one, other = described(), described(**change)
    assert one["fingerprint"] != other["fingerprint"]
    assert any(text.startswith(f"{named}:") for text in differences(one, other))
    with pytest.raises(InputError, match=f"{named}:"):
        require_same(one, other)


def test_a_key_that_only_one_has_is_a_difference_even_if_null():
    assert differences({}, {"a": None}) == ["a: not said in the first, null in the second"]


def test_equal_protocols_pass():
    require_same(described(), described())


def test_the_catalogue_and_the_past_count_by_content_and_not_by_order():
    items = pl.DataFrame(
        {"item_id": ["a", "b", "c"], "price": [1.0, None, 2.0], "categories": [["x", "y"], None, []]}
    )
    vectors = np.arange(6, dtype=np.float32).reshape(3, 2)
    same = Catalogue.of(items[[2, 0, 1]], vectors[[2, 0, 1]])
    checksum = catalogue_checksum(Catalogue.of(items, vectors))
    assert catalogue_checksum(same) == checksum
    for other in (
        Catalogue.of(items, vectors + 1),
        Catalogue.of(items),
        Catalogue.of(items.with_columns(price=pl.lit(3.0)), vectors),
        Catalogue.of(items.with_columns(pl.col("item_id") + "x"), vectors),
        Catalogue.of(items.with_columns(categories=pl.lit("z")), vectors),
    ):
        assert catalogue_checksum(other) != checksum
    assert catalogue_checksum(Catalogue(3)) is None
    past = pl.DataFrame({"user_id": ["u", "v"], "item_id": ["a", None], "rating": [5.0, None]})
    assert past_checksum(past) == past_checksum(past[::-1])
    assert past_checksum(past) != past_checksum(past.with_columns(pl.col("user_id").reverse()))
    assert past_checksum(past) != past_checksum(past.with_columns(rating=pl.lit(1.0)))


PAST = pl.DataFrame({"user_id": ["u", "v"], "item_id": ["a", "c"]})
SETTINGS = EvaluateSettings(k=(1, 10), metrics=("recall", "ndcg"), resamples=100, permutations=100)


def evaluated(rows=ROWS, past=PAST, size=9, seed=0, protocol=None, **changed):
    wanted = pl.DataFrame(rows, schema=["user_id", "item_id", "relevance"], orient="row")
    run = pl.DataFrame({"user_id": ["u", "v"], "item_id": ["a", "b"], "score": [1.0, 1.0]})
    settings = SETTINGS.model_copy(update=changed)
    catalogue = Catalogue(size)
    return evaluate(
        wanted, {"mine": run}, protocol=protocol, past=past, catalogue=catalogue, settings=settings, seed=seed
    )


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"protocol": {"dataset": "other"}}, "dataset"),
        ({"protocol": {"split": {"strategy": "time"}}}, "split"),
        ({"protocol": {"filter": {"min_user_events": 5}}}, "filter"),
        ({"protocol": {"masking": "none"}}, "masking"),
        ({"protocol": {"candidates": "100 sampled items"}}, "candidates"),
        ({"protocol": {"seed of the samples": 3}}, "seed of the samples"),
        ({"k": (1, 5, 10)}, "k"),
        ({"rows": ROWS[:2]}, "truth"),
        ({"size": 10}, "catalogue"),
        ({"past": PAST.head(1)}, "past"),
        ({"past": None}, "past"),
        ({"sampled_negatives": 2}, "sampling"),
    ],
)
def test_two_evaluations_that_differ_are_not_compared(change, named):
    before, after = Evaluation(evaluated()), Evaluation(evaluated(**change))
    with pytest.raises(InputError, match=f"{named}[:.]"):
        changes(before, after)


def test_what_only_bears_on_chance_does_not_stop_a_comparison():
    before, after = evaluated(), evaluated(seed=5, resamples=200, permutations=300)
    assert before.protocol["fingerprint"] == after.protocol["fingerprint"]
    assert changes(Evaluation(before), Evaluation(after))
    shuffled = evaluated(rows=ROWS[::-1], past=PAST.reverse())
    assert before.protocol["fingerprint"] == shuffled.protocol["fingerprint"]
