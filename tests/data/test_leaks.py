"""Leaks that are planted, and found."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from aisle.data import prepare as job
from aisle.data.leaks import check_split
from aisle.data.readers import RawShop
from aisle.data.schema import EVENTS, TIMESTAMP
from aisle.data.settings import DataSettings, SplitSettings
from aisle.data.split import split_events

START = datetime(2024, 1, 1, tzinfo=UTC)


def part_of(*events: tuple[str, int], dated: bool = True) -> pl.LazyFrame:
    """Purchases of (user, day), or of (user, position)."""
    rows = [
        {"user_id": user, "item_id": "i", "kind": "purchase"}
        | ({"timestamp": START + timedelta(days=place)} if dated else {"position": place})
        for user, place in events
    ]
    return pl.DataFrame(rows, schema=EVENTS).lazy()


def micros(day: int) -> int:
    """The time key of a day."""
    return int((START + timedelta(days=day)).timestamp()) * 1_000_000


def test_a_clean_split_has_no_leaks():
    parts = {
        "train": part_of(("a", 1), ("b", 7)),
        "validation": part_of(("a", 2), ("b", 8)),
        "test": part_of(("a", 2), ("b", 9)),
    }
    assert check_split(parts, "leave_one_out").is_empty()
    assert check_split(parts, "ratio").is_empty()


def test_a_train_event_later_than_the_cut_is_found():
    parts = {
        "train": part_of(("a", 1), ("b", 5)),
        "validation": part_of(("c", 3)),
        "test": part_of(("a", 6)),
    }
    assert check_split(parts, "leave_one_out").is_empty()
    leaks = check_split(parts, "time")
    assert leaks.rows() == [(None, "train", micros(5), "validation", micros(3))]


def test_at_the_cut_is_already_too_late():
    parts = {"train": part_of(("a", 1)), "validation": part_of(("b", 2)), "test": part_of(("a", 2))}
    assert check_split(parts, "time").rows() == [(None, "validation", micros(2), "test", micros(2))]


def test_a_users_later_event_in_an_earlier_part_is_found():
    parts = {
        "train": part_of(("a", 0), ("a", 3), ("b", 0), dated=False),
        "validation": part_of(("a", 1), ("b", 2), dated=False),
        "test": part_of(("a", 2), ("b", 1), dated=False),
    }
    assert check_split(parts, "leave_one_out").rows() == [
        ("a", "train", 3, "validation", 1),
        ("a", "train", 3, "test", 2),
        ("b", "validation", 2, "test", 1),
    ]


def test_a_part_without_events_leaks_nothing():
    parts = {"train": part_of(("a", 1)), "validation": part_of(), "test": part_of(("a", 2))}
    assert check_split(parts, "time").is_empty()


@pytest.mark.parametrize("strategy", ["time", "leave_one_out", "ratio"])
def test_the_job_refuses_a_split_that_leaks(strategy, tmp_path, monkeypatch):
    events = part_of(*((user, day) for user in "abcd" for day in range(10))).with_columns(
        source=pl.lit("f"), row=pl.int_range(pl.len(), dtype=pl.Int64), problem=pl.lit(None, pl.String)
    )
    shop = RawShop(None, events, [])
    settings = DataSettings(split=SplitSettings(strategy=strategy))
    job.prepare_shop(shop, tmp_path, settings)

    def leaky(events, order, settings):
        split = split_events(events, order, settings)
        parts = split.parts.clone()
        parts[int((parts == "train").arg_max())] = "validation"  # now a train event lies behind it
        return type(split)(**{**vars(split), "parts": parts})

    monkeypatch.setattr(job, "split_events", leaky)
    with pytest.raises(RuntimeError, match="leaks"):
        job.prepare_shop(shop, tmp_path, settings)
    assert not (tmp_path / "counts.json").exists()


def test_time_is_compared_in_utc_microseconds():
    part = part_of(("a", 1)).with_columns(pl.col("timestamp").cast(TIMESTAMP))
    late = part_of(("a", 1)).with_columns(pl.col("timestamp") + timedelta(microseconds=1))
    assert check_split(
        {"train": late, "validation": part, "test": part_of(("a", 2))}, "leave_one_out"
    ).rows() == [("a", "train", micros(1) + 1, "validation", micros(1))]
