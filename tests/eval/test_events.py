"""Anybody's events become canonical ones, whatever their dates are written in."""

from datetime import UTC, date, datetime

import polars as pl
import pytest

from aisle.data.errors import InputError
from aisle.data.schema import EVENTS
from aisle.eval.events import events_of

MOMENT = datetime(2024, 5, 1, 12, tzinfo=UTC)
SECONDS = int(MOMENT.timestamp())


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (MOMENT, MOMENT),
        (MOMENT.replace(tzinfo=None), MOMENT),
        (date(2024, 5, 1), MOMENT.replace(hour=0)),
        (SECONDS, MOMENT),
        (SECONDS * 10**3, MOMENT),
        (SECONDS * 10**6, MOMENT),
        (float(SECONDS), MOMENT),
    ],
)
def test_dates_are_read_as_they_are_written(written, read):
    table = pl.DataFrame({"user_id": [1], "item_id": ["a"], "timestamp": [written]})
    found = events_of(table, "train").collect()
    assert found["timestamp"].to_list() == [read]
    assert found["user_id"].to_list() == ["1"]
    assert found.columns == EVENTS.names()


def test_what_is_missing_is_named():
    with pytest.raises(InputError, match="a column 'item_id' in train"):
        events_of(pl.DataFrame({"user_id": ["u"]}), "train")
    with pytest.raises(InputError, match="dates or whole numbers as timestamp in truth"):
        events_of(pl.DataFrame({"user_id": ["u"], "item_id": ["a"], "timestamp": ["May"]}), "truth")


@pytest.mark.parametrize("moment", [float("nan"), float("inf"), 1e30])
def test_moments_that_cannot_be_are_refused(moment):
    table = pl.DataFrame({"user_id": ["u"], "item_id": ["a"], "timestamp": [moment]})
    with pytest.raises(InputError, match="NaN, infinite or enormous"):
        events_of(table, "train")
