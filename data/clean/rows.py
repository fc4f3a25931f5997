"""What can be wrong with one row on its own."""

from datetime import UTC, datetime

import polars as pl

NO_USER = "no user id"
NO_ITEM = "no item id"
NO_KIND = "no kind of event"
NO_WORDS = "search without words"
BAD_RATING = "rating outside 0 to 5"
BAD_POSITION = "position below 0"
TOO_EARLY = "date before {earliest:%Y-%m-%d}"
TOO_LATE = "date in the future"


def event_reason(earliest: datetime, latest: datetime) -> pl.Expr:
    """Why an event is rejected by itself, String; null where it is fine.

    Args:
        earliest: first moment that is believed; UTC where it names no zone.
        latest: last moment that is believed; later ones are in the future.
    """
    search = pl.col("kind").cast(pl.String) == "search"
    at = pl.col("timestamp")
    rules = {
        NO_USER: _blank("user_id"),
        NO_KIND: pl.col("kind").is_null(),
        NO_ITEM: ~search & _blank("item_id"),
        NO_WORDS: search & _blank("text"),
        BAD_RATING: ~pl.col("rating").is_between(0, 5) & pl.col("rating").is_not_nan(),
        TOO_EARLY.format(earliest=earliest): at < _utc(earliest),
        TOO_LATE: at > _utc(latest),
        BAD_POSITION: pl.col("position") < 0,
    }
    return pl.coalesce("problem", *(pl.when(wrong).then(pl.lit(reason)) for reason, wrong in rules.items()))


def item_reason() -> pl.Expr:
    """Why a catalogue row is rejected by itself, String; null where it is fine."""
    return pl.coalesce("problem", pl.when(_blank("item_id")).then(pl.lit(NO_ITEM)))


def _blank(column: str) -> pl.Expr:
    return (pl.col(column).str.strip_chars() == "").fill_null(True)


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
