"""Histories as arrays: order, and runs of events on one item."""

import numpy as np
import polars as pl

from aisle.data.history import Histories
from aisle.data.ids import Ids
from aisle.data.schema import EVENTS, KINDS


def histories(*events):
    """Histories of users u and v over items a and b, from (user, item, kind, position)."""
    columns = ["user_id", "item_id", "kind", "position"]
    rows = [dict(zip(columns, event, strict=True)) for event in events]
    return Histories.of(pl.DataFrame(rows, schema=EVENTS), Ids(["u", "v"]), Ids(["a", "b"]))


def kinds(found):
    return [KINDS[code] for code in found.kinds]


def test_events_are_ordered_by_time_then_by_row():
    found = histories(
        ("v", "a", "view", 2), ("u", "b", "view", 5), ("v", "b", "view", 1), ("v", "a", "cart", 1)
    )
    assert found.offsets.tolist() == [0, 1, 4]
    assert found.items.tolist() == [1, 1, 0, 0]
    assert kinds(found) == ["view", "view", "cart", "view"]


def test_unknown_users_and_items_and_searches_are_left_out():
    found = histories(
        ("w", "a", "view", 0), ("u", "c", "view", 0), ("u", None, "search", 1), ("u", "a", "view", 2)
    )
    assert found.items.tolist() == [0]
    assert found.lengths.tolist() == [1, 0]


def test_a_look_a_cart_and_a_purchase_in_a_row_are_a_purchase():
    found = histories(
        ("u", "a", "view", 0),
        ("u", "a", "cart", 1),
        ("u", "a", "purchase", 2),
        ("u", "b", "view", 3),
        ("v", "b", "view", 0),
    ).merge_repeats(["purchase"])
    assert found.items.tolist() == [0, 1, 1]
    assert kinds(found) == ["purchase", "view", "view"]
    assert found.times.tolist() == [2, 3, 0]
    assert found.offsets.tolist() == [0, 2, 3]


def test_a_purchase_that_is_reviewed_is_still_a_purchase():
    found = histories(("u", "a", "purchase", 0), ("u", "a", "review", 1))
    assert kinds(found.merge_repeats(["purchase"])) == ["purchase"]
    assert kinds(found.merge_repeats(["review"])) == ["review"]
    assert kinds(found.merge_repeats(["review", "purchase"])) == ["review"]


def test_nothing_to_merge():
    assert len(histories().merge_repeats(["purchase"]).items) == 0
    assert histories().seen(np.array([0]))[0].tolist() == []


def test_events_that_become_one_keep_their_last_rating():
    world = Histories(
        offsets=np.array([0, 4, 5]),
        items=np.array([1, 1, 1, 2, 2]),
        kinds=np.array([0, 4, 0, 3, 3], np.int8),
        times=np.arange(5),
        ratings=np.array([np.nan, 2, np.nan, np.nan, 5], np.float32),
    )
    merged = world.merge_repeats(["purchase"]).ratings
    assert pl.Series(merged).fill_nan(-1).to_list() == [2, -1, 5]


def test_ratings_are_there_if_any_event_has_one():
    rows = [{"user_id": "u", "item_id": "a", "kind": "review", "position": place} for place in (0, 1)]
    rows[1]["rating"] = 4.5
    found, none = (
        Histories.of(pl.DataFrame(some, schema=EVENTS), Ids(["u"]), Ids(["a"])) for some in (rows, rows[:1])
    )
    assert pl.Series(found.ratings).fill_nan(-1).to_list() == [-1, 4.5]
    assert none.ratings is None
