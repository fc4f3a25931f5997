"""Splits against slow ones, user by user in plain Python."""

import doctest
import gzip
import json
from collections import Counter

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import aisle.data.split
from aisle.data.errors import InputError
from aisle.data.prepare import prepare
from aisle.data.prepared import Prepared
from aisle.data.schema import KINDS
from aisle.data.settings import DataSettings, SplitSettings
from aisle.data.split import PARTS, split_events, split_time, split_users, target_kinds

TESTED = [(9, 1, True), (9, 2, True), (9, 3, True)]
"""A user who can always be tested, at three moments."""

histories = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 12), st.booleans()), max_size=60).map(
    lambda rows: sorted(rows + TESTED, key=lambda row: row[:2])
)
fractions = st.sampled_from([0.05, 0.1, 0.2, 0.25, 0.3, 0.45])


def frame_of(rows: list[tuple[int, int, bool]]) -> pl.DataFrame:
    """Events of (user, time, whether target)."""
    return pl.DataFrame(
        rows, schema={"user": pl.UInt32, "time": pl.Int64, "target": pl.Boolean}, orient="row"
    )


def by_user(rows: list[tuple[int, int, bool]], test: float | None, validation: float | None) -> list[str]:
    """The rule of the docstring, one user at a time: what lies behind t(n-1), and what behind t(n-2)."""
    parts = ["train"] * len(rows)
    for user in {row[0] for row in rows}:
        places = [place for place, row in enumerate(rows) if row[0] == user]
        targets = [place for place in places if rows[place][2]]
        n = len(targets)
        if n < 3:
            continue
        n_test = n_validation = 1
        if test is not None and validation is not None:
            n_test = min(max(1, int(n * test + 1e-9)), n - 2)
            n_validation = min(max(1, int(n * validation + 1e-9)), n - n_test - 1)
        last_validation = targets[n - n_test - 1]
        last_train = targets[n - n_test - n_validation - 1]
        for place in places:
            if place > last_validation:
                parts[place] = "test"
            elif place > last_train:
                parts[place] = "validation"
    return parts


def test_the_tables_of_the_docstrings():
    assert doctest.testmod(aisle.data.split).failed == 0
    assert doctest.testmod(aisle.data.split).attempted >= 5


@settings(deadline=None, max_examples=50)
@given(histories)
def test_leave_one_out_equals_the_rule_user_by_user(rows):
    parts = split_users(frame_of(rows), SplitSettings(), "leave_one_out")
    assert parts.to_list() == by_user(rows, None, None)


@settings(deadline=None, max_examples=50)
@given(histories, fractions, fractions)
def test_ratio_equals_the_rule_user_by_user(rows, test, validation):
    fractions_set = SplitSettings(test_fraction=test, validation_fraction=validation)
    parts = split_users(frame_of(rows), fractions_set, "ratio")
    assert parts.to_list() == by_user(rows, test, validation)
    held = Counter(zip((row[0] for row in rows), parts, (row[2] for row in rows), strict=True))
    for user, n in Counter(user for user, _, target in rows if target).items():
        if n >= 3:
            assert all(held[user, part, True] >= 1 for part in PARTS)


def test_ratio_takes_the_fraction_of_each_user():
    rows = [(0, time, True) for time in range(20)] + [(1, time, True) for time in range(5)]
    fractions_set = SplitSettings(test_fraction=0.2, validation_fraction=0.1)
    parts = split_users(frame_of(rows), fractions_set, "ratio").to_list()
    assert Counter(parts[:20]) == {"test": 20 * 0.2, "validation": 20 * 0.1, "train": 20 * 0.7}
    assert parts[20:] == ["train"] * 3 + ["validation", "test"]


@settings(deadline=None, max_examples=50)
@given(histories, fractions, fractions)
def test_time_split_equals_counting_targets_from_the_end(rows, test, validation):
    times = sorted(time for _, time, target in rows if target)
    moments = sorted(set(times))
    fractions_set = SplitSettings(test_fraction=test, validation_fraction=validation)
    parts, cuts = split_time(frame_of(rows), fractions_set)
    # the latest cut with enough targets at or after it, but never so early that a part is left empty
    n_test = max(1, int(len(times) * test + 1e-9))
    slow_test = max(moment for moment in moments if sum(time >= moment for time in times) >= n_test)
    slow_test = max(slow_test, moments[2])
    earlier = [time for time in times if time < slow_test]
    n_validation = min(max(1, int(len(times) * validation + 1e-9)), len(earlier))
    slow_validation = max(m for m in moments if sum(time >= m for time in earlier) >= n_validation)
    slow_validation = max(slow_validation, moments[1])
    assert (cuts.validation, cuts.test) == (slow_validation, slow_test)
    assert parts.to_list() == [
        "test" if time >= slow_test else "validation" if time >= slow_validation else "train"
        for _, time, _ in rows
    ]
    for part in PARTS:
        assert any(target and mine == part for (_, _, target), mine in zip(rows, parts, strict=True))


def test_a_time_split_needs_three_moments():
    with pytest.raises(InputError, match="4 target events at 2 moments"):
        split_time(
            frame_of([(0, 1, True), (0, 1, True), (1, 2, True), (1, 2, True), (1, 3, False)]), SplitSettings()
        )


def test_a_split_by_user_needs_three_targets_of_one_user():
    rows = [(0, 1, True), (0, 2, True), (0, 3, False), (1, 1, True)]
    for strategy in ("leave_one_out", "ratio"):
        with pytest.raises(InputError, match="users with 2 at most"):
            split_users(frame_of(rows), SplitSettings(), strategy)


def kinds_frame(*kinds: str) -> pl.DataFrame:
    """One user's events of these kinds, one after the other."""
    return pl.DataFrame(
        {"user": [0] * len(kinds), "kind": [KINDS.index(k) for k in kinds], "time": range(len(kinds))},
        schema={"user": pl.UInt32, "kind": pl.UInt8, "time": pl.Int64},
    )


def test_the_strategy_follows_the_order():
    events = kinds_frame(*["purchase"] * 5)
    assert split_events(events, "time", SplitSettings()).strategy == "time"
    assert split_events(events, "position", SplitSettings()).strategy == "leave_one_out"
    assert split_events(events, "time", SplitSettings(strategy="ratio")).strategy == "ratio"
    with pytest.raises(InputError, match="order alone"):
        split_events(events, "position", SplitSettings(strategy="time"))


def test_targets_are_the_strongest_kind_unless_set():
    events = kinds_frame("view", "cart", "view", "cart", "search", "view", "cart")
    split = split_events(events, "position", SplitSettings())
    assert split.target_kinds == split.seen_kinds == ("cart",)
    assert split.targets.to_list() == [False, True, False, True, False, False, True]
    views = SplitSettings(target_kinds=("click", "view"), seen_kinds=("cart",))
    split = split_events(events, "position", views)
    assert (split.target_kinds, split.seen_kinds) == (("view",), ("cart",))
    assert target_kinds(("view", "review", "purchase"), SplitSettings()) == ("purchase",)


def test_a_kind_that_the_data_lacks_cannot_be_a_target():
    with pytest.raises(InputError, match="only view, search"):
        split_events(kinds_frame("view", "search"), "time", SplitSettings(target_kinds=("purchase",)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"test_fraction": 0.5, "validation_fraction": 0.5},
        {"test_fraction": 0.0},
        {"strategy": "random"},
        {"target_kinds": ()},
        {"target_kinds": ("search",)},
    ],
)
def test_settings_that_leave_nothing_are_rejected(wrong):
    with pytest.raises(ValidationError):
        SplitSettings(**wrong)


def test_beauty_is_split_as_protocol_s3_says(shared_data, tmp_path):
    counts = prepare(shared_data / "amazon-beauty-2014", tmp_path, DataSettings())
    assert counts.split.strategy == "leave_one_out"
    assert counts.events.rejected == counts.items.rejected == {}
    assert (counts.catalogue, counts.events.kept) == (12_101, 198_502)
    with gzip.open(shared_data / "amazon-beauty-2014" / "sequences.jsonl.gz") as lines:
        sequences = {row["user"]: row["items"] for row in map(json.loads, lines)}
    shop = Prepared(tmp_path)
    assert len(sequences) == len(shop.user_ids) == 22_363
    for part, place in (("test", -1), ("validation", -2)):
        events = shop.events(part).select("user_id", "item_id").collect()
        assert len(events) == 22_363
        assert dict(events.rows()) == {user: items[place] for user, items in sequences.items()}
    train = shop.histories("train")
    earlier = [sequences[user][:-2] for user in shop.user_ids.values]
    assert train.lengths.tolist() == [len(items) for items in earlier]
    assert shop.item_ids.ids(train.items) == [item for items in earlier for item in items]
