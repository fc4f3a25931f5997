"""Numbers about items and users that can only be known after the test."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aisle.eval.leaks.columns import FEWEST, Column, Entity, columns
from aisle.eval.leaks.finding import Finding
from aisle.eval.leaks.material import Check, Material

Numbers = NDArray[np.float64]

AGREEMENT = 0.5
"""The least share of these items on which a number is what the future makes it."""

BEYOND_CHANCE = 0.2
"""By how much that share must lie above what one constant would reach."""

BEFORE = " before"
"""End of the name of a fact of the past alone."""

LAST = "time of the last event"
"""The fact that is a moment; all others are counts and means."""

SHAPES: dict[str, Callable[[Numbers], Numbers]] = {
    "": lambda x: x,
    "the logarithm of ": np.log,
    "the logarithm of one plus ": np.log1p,
}

UNITS = {"seconds": 1.0, "milliseconds": 1e-3, "microseconds": 1e-6, "hours": 3600.0, "days": 86400.0}
"""Units of moments and of times between them, in seconds."""


class Told(NamedTuple):
    """What a column is: the fact, the items (users) that show it, and the number of those that could."""

    what: str
    ids: list[str]
    of: int


def _find(material: Material) -> Iterator[Finding]:
    """Columns that equal a count, mean or moment over all events, where the past has another one."""
    facts: dict[Entity, pl.DataFrame] = {}
    for column in columns(material):
        if column.entity not in facts:
            facts[column.entity] = _facts(material, column.entity)
        told = _told(column, facts[column.entity])
        if told:
            noun = column.entity.removesuffix("_id")
            yield FEATURES.finding(
                "leak",
                f"The column {column.name} is the {told.what} of each {noun}, tested events included: "
                f"on {len(told.ids)} of {told.of} {noun}s where these change it.",
                [f"{noun} {one}" for one in told.ids],
                "compute it from events before the tested ones, or leave the column out",
            )


def _facts(material: Material, entity: Entity) -> pl.DataFrame:
    """Facts of each item (user) over all events, and beside them those of the past alone."""
    past = _of_events(material.past, entity, material.dated)
    everything = _of_events(pl.concat([material.past, material.test]), entity, material.dated)
    facts = everything.join(past, on=entity, how="left", suffix=BEFORE)
    counts = pl.selectors.starts_with("number") & pl.selectors.ends_with(BEFORE)
    return facts.with_columns(counts.fill_null(0)).sort(entity)


def _of_events(events: pl.DataFrame, entity: Entity, dated: bool) -> pl.DataFrame:
    """What a table might say of each item's (user's) events."""
    other, others = ("user_id", "number of users") if entity == "item_id" else ("item_id", "number of items")
    found = events.group_by(entity).agg(
        pl.len().cast(pl.Float64).alias("number of events"),
        pl.col("target").sum().cast(pl.Float64).alias("number of relevant events"),
        pl.col(other).n_unique().cast(pl.Float64).alias(others),
        pl.col("rating").count().cast(pl.Float64).alias("number of ratings"),
        pl.col("rating").mean().alias("mean rating"),
        pl.col("rating").sum().alias("sum of ratings"),
        (pl.col("time").max() / 1e6).alias(LAST),
    )
    return found if dated else found.drop(LAST)


def _told(column: Column, facts: pl.DataFrame) -> Told | None:
    """Which fact the number is; None if it is none of the future's."""
    both = column.numbers.join(facts, on=column.entity, maintain_order="right")
    digits = digits_of(both["number"].to_numpy())
    for fact in facts.columns:
        if fact == column.entity or fact.endswith(BEFORE):
            continue
        known = both.select(column.entity, "number", now=fact, before=fact + BEFORE)
        known = known.drop_nulls(["number", "now"]).with_columns(pl.col("before").fill_null(np.nan))
        number, now, before = (known[name].to_numpy() for name in ("number", "now", "before"))
        shown = moment(number, now, before, digits) if fact == LAST else _count(number, now, before, digits)
        if shown:
            shape, same, telling = shown
            ids = known[column.entity].filter(pl.Series(same)).to_list()
            return Told(shape + fact, ids, int(telling.sum()))
    return None


Shown = tuple[str, NDArray[np.bool_], NDArray[np.bool_]]
"""How a fact is written, where a number is that, and where it could only be if the future was known."""


def _count(number: Numbers, now: Numbers, before: Numbers, digits: int) -> Shown | None:
    """How the numbers are `now`, where that is not `before`."""
    nearly = 0.51 * 10.0**-digits if digits else 0
    for shape, function in SHAPES.items():
        with np.errstate(divide="ignore", invalid="ignore"):
            later, earlier = np.round(function(now), digits), np.round(function(before), digits)
        telling = later != earlier
        same = telling & np.isclose(number, later, rtol=0, atol=nearly)
        if beyond_chance(same, telling, later):
            return shape, same, telling
    return None


def moment(number: Numbers, now: Numbers, before: Numbers, digits: int) -> Shown | None:
    """How the numbers are the moments `now`, or times since them, where these are not `before`.

    A time since is counted from a day that nobody tells: the one that fits most. Rounding may go up or down.
    """
    nearly = 1.01 * 10.0**-digits
    for unit, seconds in UNITS.items():
        later, earlier = now / seconds, before / seconds
        telling = ~(np.abs(later - earlier) <= 2 * nearly)
        if not telling.any():
            continue
        same = telling & (np.abs(number - later) <= nearly)
        if beyond_chance(same, telling, np.round(later, digits)):
            return "", same, telling
        since, fitted = (_middle((number + end)[telling]) for end in (later, earlier))
        same = telling & (np.abs(since - later - number) <= nearly)
        known = telling & (np.abs(fitted - earlier - number) <= nearly)
        if known.sum() < same.sum() / 2 and beyond_chance(same, telling, np.round(later, digits)):
            return f"{unit} since the ", same, telling
    return None


def _middle(numbers: Numbers) -> float:
    finite = numbers[np.isfinite(numbers)]
    return float(np.median(finite)) if len(finite) else np.nan


def beyond_chance(
    same: NDArray[np.bool_], telling: NDArray[np.bool_], values: Sequence[float] | Numbers
) -> bool:
    """Whether numbers agree on half of the telling ones, and on more of them than any constant would."""
    count = np.count_nonzero(telling)
    if count < FEWEST:
        return False
    constant = pl.Series(np.asarray(values)[telling]).value_counts()["count"].to_numpy().max() / count
    share = same.sum() / count
    return bool(share >= AGREEMENT and share >= constant + BEYOND_CHANCE)


def digits_of(numbers: Numbers) -> int:
    """Decimals in which numbers are written, 4 at most."""
    fits = (
        digits for digits in range(4) if np.allclose(numbers, np.round(numbers, digits), rtol=0, atol=1e-9)
    )
    return next(fits, 4)


def _lacks(material: Material) -> str | None:
    return None if next(columns(material), None) else "numbers of items, of users or of events"


FEATURES = Check("future features", _find, _lacks)
