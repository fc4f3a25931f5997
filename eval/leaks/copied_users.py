"""Users whose history, the tested part too, is trained on under another id."""

from collections.abc import Iterator

import polars as pl

from aisle.eval.leaks.finding import Finding
from aisle.eval.leaks.material import Check, Material, quoted

SHARED = 3
"""Events that two users have to share, each on the same item at the same moment."""

SHARE = 0.8
"""The least share of a user's events that is found at the other one."""

CROWD = 50
"""Events on one item at one moment by more users than this say nothing of who copies whom."""


def _find(material: Material) -> Iterator[Finding]:
    """Tested events that another user has in the past, where most of the two histories agree, too."""
    key = ["item_id", "time"]
    past = material.past.select("user_id", *key).unique()
    test = material.test.filter("target").select("user_id", *key).unique()
    past = past.filter(pl.len().over(key) <= CROWD)
    suspects = test.join(past, on=key, suffix="_other").filter(pl.col("user_id") != pl.col("user_id_other"))
    suspects = suspects.select("user_id", "user_id_other").unique()
    if not len(suspects):
        return
    everything = pl.concat([past, test]).unique()
    lengths = everything.group_by("user_id").len("events")
    shared = (
        suspects.join(everything, on="user_id")
        .join(everything.rename({"user_id": "user_id_other"}), on=["user_id_other", *key], how="semi")
        .group_by("user_id", "user_id_other")
        .len("shared")
        .join(lengths, on="user_id")
        .filter(pl.col("shared") >= SHARED, pl.col("shared") >= SHARE * pl.col("events"))
        .sort("user_id", "user_id_other")
    )
    if len(shared):
        yield COPIED_USERS.finding(
            "leak",
            f"{shared['user_id'].n_unique()} tested users are trained on under another id: the same items at "
            "the same moments, the tested ones too.",
            quoted(shared, "{user_id} is like {user_id_other}: {shared} of {events} events"),
            "merge accounts that are one user before splitting, or drop the copies",
        )


def _lacks(material: Material) -> str | None:
    return None if material.dated else "dates of all events"


COPIED_USERS = Check("copied users", _find, _lacks)
