"""Reasons to reject, each on a planted frame; fast paths against slow ones; numbers that cannot be."""

import doctest
import importlib
from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aisle.data.clean.events import Keys, decide
from aisle.data.clean.items import decide_items, item_keys, without_record
from aisle.data.clean.kcore import ITEM_TOO_RARE, KEPT, USER_TOO_RARE, k_core
from aisle.data.clean.machines import bursts
from aisle.data.clean.repair import repair_events, repair_items
from aisle.data.schema import DAY, EVENTS, ITEMS
from aisle.data.settings import CleanSettings

NOW = datetime(2024, 6, 1, tzinfo=UTC)
TRACE = {"source": pl.String(), "row": pl.Int64(), "problem": pl.String()}


def events_of(*rows: dict[str, object]) -> pl.DataFrame:
    """Events that are fine but for what `rows` say: distinct users, one item, one purchase a day."""
    fine = [
        {"user_id": f"u{n}", "item_id": "i", "kind": "purchase", "timestamp": NOW - timedelta(days=9 - n)}
        for n in range(len(rows))
    ]
    return pl.DataFrame(
        [
            {**one, **row, "source": "f", "row": n + 1}
            for n, (one, row) in enumerate(zip(fine, rows, strict=True))
        ],
        schema={**EVENTS, **TRACE},
    )


def reasons_of(events: pl.DataFrame, settings: CleanSettings | None = None) -> list[str | None]:
    """Why each event is rejected."""
    settings = settings or CleanSettings()
    keys = Keys()
    return decide(keys.of_events(events, settings, NOW), settings).reasons.cast(pl.String).to_list()


@pytest.mark.parametrize("module", ["kcore", "machines", "text"])
def test_the_examples_of_docstrings(module):
    results = doctest.testmod(importlib.import_module(f"aisle.data.clean.{module}"))
    assert results.failed == 0
    assert results.attempted


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"problem": "not JSON", "user_id": None}, "not JSON"),
        ({"user_id": None}, "no user id"),
        ({"user_id": " \t"}, "no user id"),
        ({"item_id": None}, "no item id"),
        ({"item_id": ""}, "no item id"),
        ({"kind": None}, "no kind of event"),
        ({"kind": "search", "item_id": None, "text": "red mug"}, None),
        ({"kind": "search", "item_id": None, "text": " "}, "search without words"),
        ({"rating": 11.0}, "rating outside 0 to 5"),
        ({"rating": -0.5}, "rating outside 0 to 5"),
        ({"rating": float("inf")}, "rating outside 0 to 5"),
        ({"rating": float("nan")}, None),
        ({"rating": 0.0}, None),
        ({"rating": 5.0}, None),
        ({"timestamp": datetime(2099, 1, 1, tzinfo=UTC)}, "date in the future"),
        ({"timestamp": NOW}, None),
        ({"timestamp": NOW + timedelta(microseconds=1)}, "date in the future"),
        ({"timestamp": datetime(1989, 12, 31, 23, 59, tzinfo=UTC)}, "date before 1990-01-01"),
        ({"timestamp": datetime(1990, 1, 1, tzinfo=UTC)}, None),
        ({"timestamp": None}, "no date, where others have one"),
        ({"timestamp": None, "position": 3}, "no date, where others have one"),
        ({"position": -1}, "position below 0"),
        ({"price": -3.0, "quantity": -1.0}, None),
    ],
)
def test_a_row_is_rejected_for_what_is_wrong_with_it(row, reason):
    assert reasons_of(events_of({}, row, {})) == [None, reason, None]


SAME = {"user_id": "u", "kind": "review", "timestamp": NOW - timedelta(days=1), "text": "nice", "rating": 4.0}


@pytest.mark.parametrize(
    "change",
    [
        {"user_id": "v"},
        {"item_id": "j"},
        {"text": "nice!"},
        {"text": None},
        {"timestamp": NOW - timedelta(hours=1)},
        {"kind": "purchase"},
    ],
)
def test_events_that_differ_in_one_thing_are_no_duplicates(change):
    assert reasons_of(events_of(SAME, {**SAME, **change})) == [None, None]


def test_the_first_of_duplicates_stays():
    again = {**SAME, "rating": 2.0}
    view = {**SAME, "kind": "view", "text": None}
    assert reasons_of(events_of(SAME, view, again, {}, view, SAME)) == [
        None,
        None,
        "duplicate review",
        None,
        "duplicate event",
        "duplicate review",
    ]


def test_searches_for_the_same_words_at_once_are_duplicates():
    search = {"user_id": "u", "kind": "search", "item_id": None, "timestamp": NOW, "text": "mug"}
    assert reasons_of(events_of(search, search, {**search, "text": "cup"})) == [None, "duplicate event", None]


def test_a_rejected_row_makes_no_duplicate_of_a_fine_one():
    assert reasons_of(events_of({**SAME, "rating": 11.0}, SAME)) == ["rating outside 0 to 5", None]


def test_positions_make_the_order_where_more_rows_have_only_them():
    placed = {"timestamp": None, "position": 0}
    assert reasons_of(events_of(placed, {}, placed)) == [None, "no position, where others have one", None]
    assert reasons_of(events_of(placed, {})) == ["no date, where others have one", None]


def test_the_order_of_the_rows_is_taken_where_there_is_no_other():
    bare = {"user_id": "u", "timestamp": None}
    events = events_of(bare, {**bare, "user_id": "v"}, bare)
    keys = Keys()
    kept = decide(keys.of_events(events, CleanSettings(), NOW), CleanSettings())
    assert kept.order == "position"
    assert kept.events.sort("row")["time"].to_list() == [0, 0, 1]


def test_repeated_words_are_duplicates_even_at_another_position():
    review = {**SAME, "timestamp": None, "position": 0}
    bought = {**review, "kind": "purchase", "text": None, "position": 2}
    rows = events_of(review, {**review, "position": 1}, bought, {**bought, "position": 3}, bought)
    assert reasons_of(rows) == [None, "duplicate review", None, None, "duplicate event"]


def test_codes_of_one_keys_can_be_compared_across_batches():
    events = events_of(SAME, {}, SAME, {**SAME, "user_id": "w"})
    settings, keys = CleanSettings(), Keys()
    rows = pl.concat([keys.of_events(events[n : n + 1], settings, NOW) for n in range(4)])
    assert decide(rows, settings).reasons.cast(pl.String).to_list() == [None, None, "duplicate review", None]


def test_users_busier_than_people_are_machines():
    robot = [{"user_id": "robot", "timestamp": NOW - timedelta(hours=n)} for n in range(4)]
    person = [{"user_id": "person", "timestamp": NOW - timedelta(days=n)} for n in range(4)]
    settings = CleanSettings(machine_days=1, machine_events=3)
    reason = "user active like a machine"
    assert reasons_of(events_of(*robot, *person), settings) == [reason] * 4 + [None] * 4
    assert reasons_of(events_of(*robot[:3], *person), settings) == [None] * 7
    buyers = CleanSettings(machine_days=1, machine_events=0, machine_purchases=3)
    views = [{**row, "kind": "view"} for row in robot]
    assert reasons_of(events_of(*robot), buyers) == [reason] * 4
    assert reasons_of(events_of(*views), buyers) == [None] * 4


def test_the_machine_rule_is_that_of_its_source():
    settings = CleanSettings()
    assert (settings.machine_days, settings.machine_events, settings.machine_purchases) == (90, 3500, 1000)


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 20)), max_size=40),
    st.integers(1, 4),
    st.integers(1, 6),
)
def test_bursts_equal_counting_in_every_window(events, limit, window):
    events = sorted(events)
    users = np.array([user for user, _ in events], np.uint32)
    times = np.array([time for _, time in events], np.int64)
    slow = {
        user
        for user, start in events
        if sum(other == user and start <= time < start + window for other, time in events) > limit
    }
    assert bursts(users, times, limit, window).tolist() == sorted(slow)
    assert timedelta(microseconds=DAY) == timedelta(days=1)


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=60),
    st.integers(0, 4),
    st.integers(0, 4),
)
def test_k_core_equals_dropping_one_at_a_time(pairs, min_user, min_item):
    fate = k_core(
        np.array([user for user, _ in pairs], np.uint32),
        np.array([item for _, item in pairs], np.uint32),
        min_user,
        min_item,
    )
    left = list(range(len(pairs)))
    while True:
        users = Counter(pairs[n][0] for n in left)
        items = Counter(pairs[n][1] for n in left)
        bad = [n for n in left if users[pairs[n][0]] < min_user or items[pairs[n][1]] < min_item]
        if not bad:
            break
        left.remove(bad[0])
    assert np.flatnonzero(fate == KEPT).tolist() == left
    assert set(fate.tolist()) <= {KEPT, USER_TOO_RARE, ITEM_TOO_RARE}


def test_the_core_takes_searches_along_with_their_users():
    def event(user: str, item: str | None, day: int) -> dict[str, object]:
        kind = {"kind": "search", "text": "mug"} if item is None else {}
        return {"user_id": user, "item_id": item, "timestamp": NOW - timedelta(days=day), **kind}

    rows = [
        event("a", "x", 9),
        event("a", "y", 8),
        event("a", None, 7),
        event("b", "x", 6),
        event("b", None, 5),
    ]
    rows += [event("c", "x", 4), event("c", "y", 3), event("d", None, 2)]
    rare = "user with fewer than 2 events"
    settings = CleanSettings(min_user_events=2, min_item_events=2)
    assert reasons_of(events_of(*rows), settings) == [None, None, None, rare, rare, None, None, rare]


def items_of(*rows: dict[str, object]) -> pl.DataFrame:
    """Catalogue rows."""
    return pl.DataFrame(
        [{**row, "source": "f", "row": n + 1} for n, row in enumerate(rows)], schema={**ITEMS, **TRACE}
    )


def test_the_fullest_of_duplicate_items_stays_and_the_first_of_equals():
    catalogue = items_of(
        {"item_id": "a", "title": "A"},
        {"item_id": "a", "title": "A", "categories": ["X"]},
        {"item_id": "a", "brand": "B", "price": 2.0},
        {"item_id": "b"},
        {"item_id": None, "title": "?"},
        {"item_id": "c", "problem": "not JSON"},
    )
    keys = Keys()
    rows = item_keys(catalogue, keys)
    events = pl.DataFrame({"item": []}, schema={"item": pl.UInt32})
    again = "duplicate item"
    assert decide_items(rows, events, 0).cast(pl.String).to_list() == [
        again,
        None,
        again,
        None,
        "no item id",
        "not JSON",
    ]


def test_items_without_record_get_one_in_the_order_of_their_ids():
    keys = Keys()
    rows = item_keys(items_of({"item_id": "b", "title": "B"}, {"item_id": "d"}), keys)
    events = keys.of_events(
        events_of({"item_id": "z"}, {"item_id": "b"}, {"item_id": "a"}, {"item_id": "z"}),
        CleanSettings(),
        NOW,
    )
    reasons = decide_items(rows, events, 0)
    missing = without_record(rows, reasons, events, keys)
    assert missing["item_id"].to_list() == ["a", "z"]
    assert missing.schema == ITEMS
    assert missing.drop("item_id").null_count().sum_horizontal().item() == 2 * (len(ITEMS) - 1)


def test_items_below_the_core_leave_the_catalogue():
    keys = Keys()
    events = keys.of_events(
        events_of({"item_id": "a"}, {"item_id": "a"}, {"item_id": "b"}), CleanSettings(), NOW
    )
    rows = item_keys(items_of({"item_id": "a"}, {"item_id": "b"}, {"item_id": "cold"}), keys)
    rare = "item with fewer than 2 events"
    assert decide_items(rows, events, 2).cast(pl.String).to_list() == [None, rare, rare]


def test_impossible_numbers_are_removed_and_counted():
    items = items_of(
        *({"item_id": str(n), "price": p} for n, p in enumerate([-3.0, 0.0, 1e9, float("nan"), 9.99, None]))
    )
    plain, changes = repair_items(items.select(ITEMS.names()), CleanSettings())
    assert plain["price"].to_list() == [None, None, None, None, 9.99, None]
    assert changes == {"price": 4}
    events = events_of(
        {"price": -3.0, "quantity": 0.0},
        {"price": 2.5, "quantity": 1.5, "rating": float("nan")},
        {"price": 1e7},
    )
    plain, changes = repair_events(events.select(EVENTS.names()), CleanSettings())
    assert plain.select("price", "quantity", "rating").rows() == [
        (None,) * 3,
        (2.5, 1.5, None),
        (1e7, None, None),
    ]
    assert changes == {"price": 1, "quantity": 1, "rating": 1}
