"""Proof that no part of a split sees its future."""

from collections.abc import Mapping

import polars as pl

from aisle.data.history import event_time
from aisle.data.split import PART, PARTS


def check_split(parts: Mapping[str, pl.LazyFrame], strategy: str) -> pl.DataFrame:
    """Leaks: events that lie in an earlier part, and happened later, than one of a later part.

    In a time split, events of all users are compared, and a part must end before the next begins; otherwise
    those of each user, and a tie is fine (its order is that of the input).

    Args:
        parts: canonical events of train, validation and test.
        strategy: the split's.

    Returns:
        One row for each user (time: for all) and pair of parts that leaks, sorted: user_id (null: all users),
        part, last (the time or position of its last event), later_part, first (that of its first event).
        Without rows, nothing leaks.
    """
    together = strategy == "time"
    who = pl.lit(None, dtype=pl.String) if together else pl.col("user_id")
    events = pl.concat(
        [parts[part].select(user_id=who, time=event_time(), part=pl.lit(part, dtype=PART)) for part in PARTS]
    )
    ends = (
        events.group_by("user_id", "part")
        .agg(first=pl.col("time").min(), last=pl.col("time").max())
        .collect(engine="streaming")
    )
    pairs = ends.select("user_id", "part", "last").join(
        ends.select("user_id", "first", later_part="part"), on="user_id", nulls_equal=True
    )
    late = pl.col("last") >= pl.col("first") if together else pl.col("last") > pl.col("first")
    leaks = pairs.filter(pl.col("part").to_physical() < pl.col("later_part").to_physical(), late)
    return leaks.select("user_id", "part", "last", "later_part", "first").sort(
        "user_id", "part", "later_part"
    )
