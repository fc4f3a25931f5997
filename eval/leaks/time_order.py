"""Events that are known before what they come after."""

from collections.abc import Iterator

import polars as pl

from aisle.data.leaks import check_split
from aisle.eval.leaks.finding import Finding
from aisle.eval.leaks.material import Check, Material, quoted


def _find(material: Material) -> Iterator[Finding]:
    """A part of the split that ends after a later one begins (:func:`aisle.data.leaks.check_split`)."""
    strategy = material.strategy or ""
    leaks = check_split(material.parts, strategy)
    if not len(leaks):
        return
    whose = "of some users" if strategy == "time" else f"of {leaks['user_id'].n_unique()} users"
    pattern = "{part} ends at {last}, {later_part} begins at {first}"
    shown = leaks.with_columns(pl.col("user_id").fill_null("all users"))
    if material.dated:
        moments = [pl.col(name).cast(pl.Datetime("us")).dt.to_string("iso") for name in ("last", "first")]
        shown = shown.with_columns(moments)
    yield TIME_ORDER.finding(
        "leak",
        f"Events {whose} in an earlier part happened after the beginning of a later one.",
        quoted(shown, "{user_id}: " + pattern),
        "split anew so that nothing later than a tested event is known: `aisle prepare` does, whatever the "
        "strategy",
    )


def _lacks(material: Material) -> str | None:
    if material.strategy == "time":
        return None if material.dated else "dates of all events"
    return None if material.ordered else "dates of all events, or their order"


TIME_ORDER = Check("time order", _find, _lacks)
