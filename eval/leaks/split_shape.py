"""Parts that are not what the strategy of the split says."""

from collections.abc import Iterator

import polars as pl

from aisle.eval.leaks.finding import Finding
from aisle.eval.leaks.material import Check, Material, quoted


def _find(material: Material) -> Iterator[Finding]:
    """Leave one out: a user has one target in each held-out part. Users: none of them is in two parts."""
    if material.strategy == "users":
        yield from _shared_users(material)
    else:
        yield from _several_left_out(material)


def _shared_users(material: Material) -> Iterator[Finding]:
    users = {
        part: events.select(pl.col("user_id").unique()).collect()["user_id"]
        for part, events in material.parts.items()
    }
    both = users["test"].filter(
        users["test"].is_in(pl.concat([users["train"], users["validation"]]).implode())
    )
    if len(both):
        yield SPLIT_SHAPE.finding(
            "leak",
            f"{len(both)} of {len(users['test'])} tested users are trained on, which a split by "
            "users forbids.",
            both.sort().to_list(),
            "leave all events of tested users out of the training, or name the split that it is",
        )


def _several_left_out(material: Material) -> Iterator[Finding]:
    counts = material.test.filter("target").group_by("user_id").len().filter(pl.col("len") > 1)
    if len(counts):
        yield SPLIT_SHAPE.finding(
            "leak",
            f"{len(counts)} users have several tested items, where leave-one-out leaves one: the others were "
            "taken out of what is known of them.",
            quoted(counts.sort("user_id"), "{user_id}: {len} items"),
            "leave out the last item of each user alone, or name the split that it is",
        )


def _lacks(material: Material) -> str | None:
    checked = material.strategy in ("leave_one_out", "users")
    return None if checked else "a split by leave_one_out or by users"


SPLIT_SHAPE = Check("split shape", _find, _lacks)
