"""One event in two parts."""

from collections.abc import Iterator
from itertools import combinations

import polars as pl

from aisle.data.clean.duplicates import EVENT_KEY
from aisle.data.history import event_time
from aisle.data.split import PARTS
from aisle.eval.leaks.finding import Finding
from aisle.eval.leaks.material import Check, Material, quoted

KEY = [{"user": "user_id", "item": "item_id"}.get(name, name) for name in EVENT_KEY]
"""What makes two events one, as for cleaning."""


def _find(material: Material) -> Iterator[Finding]:
    """Events of two parts that agree in user, item, kind, moment and words."""
    told = pl.col("timestamp").is_not_null() | pl.col("position").is_not_null() | pl.col("text").is_not_null()
    events = {
        part: material.parts[part]
        .filter(told, pl.col("item_id").is_not_null())
        .select(*(event_time().alias("time") if name == "time" else name for name in KEY))
        .unique()
        for part in PARTS
    }
    for earlier, later in combinations(PARTS, 2):
        both = events[later].join(events[earlier], on=KEY, how="semi", nulls_equal=True).collect()
        if len(both):
            yield DUPLICATES.finding(
                "leak",
                f"{len(both)} events of {later} lie in {earlier}, too: the same user, item, kind, "
                "moment and words.",
                quoted(both.sort("user_id", "item_id"), "user {user_id}, item {item_id}"),
                f"take them out of {earlier}; `aisle prepare` merges events that repeat before it splits",
            )


DUPLICATES = Check("duplicates", _find)
