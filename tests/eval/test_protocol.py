"""Numbers of two protocols are not compared, and the difference is named."""

import polars as pl
import pytest

from aisle.data.errors import InputError
from aisle.eval.protocol import describe, differences, fingerprint, require_same
from aisle.eval.runs import check_truth

ROWS = [("u", "a", 1), ("u", "b", 2), ("v", "a", 1)]


def truth(rows=ROWS):
    return check_truth(pl.DataFrame(rows, schema=["user_id", "item_id", "relevance"], orient="row"))


def described(given=None, rows=ROWS, k=(10,), size: int | None = 5):
    return describe(given or {}, truth(rows), k, size)


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
