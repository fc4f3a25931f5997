"""Numbers about items that can only be known after the test."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aisle.eval.leaks.finding import Finding
from aisle.eval.leaks.material import Check, Material

Numbers = NDArray[np.float64]

FEWEST = 10
"""Items on which past and future must disagree before anything can be told."""

AGREEMENT = 0.5
"""The least share of these items on which a number is what the future makes it."""

BEYOND_CHANCE = 0.2
"""By how much that share must lie above what one constant would reach."""

BEFORE = " before"
"""End of the name of a fact of the past alone."""

SHAPES: dict[str, Callable[[Numbers], Numbers]] = {
    "": lambda x: x,
    "the logarithm of ": np.log,
    "the logarithm of one plus ": np.log1p,
}


def _find(material: Material) -> Iterator[Finding]:
    """Columns of the catalogue that equal a count or mean over all events, where the past has another one."""
    past, everything = _facts(material.past), _facts(pl.concat([material.past, material.test]))
    facts = everything.join(past, on="item_id", how="left", suffix=BEFORE)
    counts = pl.selectors.starts_with("number") & pl.selectors.ends_with(BEFORE)
    facts = facts.with_columns(counts.fill_null(0)).sort("item_id")
    for name, column in _numbers(material.items).items():
        told = _told(column.join(facts, on="item_id", maintain_order="right"), everything.columns[1:])
        if told:
            what, items, of = told
            yield FEATURES.finding(
                "leak",
                f"The column {name!r} of the catalogue is the {what} of each item, tested events included: "
                f"on {len(items)} of {of} items where these change it.",
                [f"item {item}" for item in items],
                "compute it from events before the tested ones, or leave the column out",
            )


def _numbers(items: pl.DataFrame | None) -> dict[str, pl.DataFrame]:
    """Numbers of the catalogue by name: tables (item_id, number)."""
    if items is None:
        return {}
    found = {
        name: items.select("item_id", number=pl.col(name).cast(pl.Float64))
        for name, dtype in items.schema.items()
        if dtype.is_numeric() and name != "item_id"
    }
    if "attributes" in items.columns and isinstance(items.schema["attributes"], pl.List):
        named = items.select("item_id", "attributes").explode("attributes").unnest("attributes")
        parsed = named.with_columns(number=pl.col("value").cast(pl.Float64, strict=False)).drop_nulls(
            "number"
        )
        for (name,), rows in parsed.group_by("name", maintain_order=True):
            found[str(name)] = rows.select("item_id", "number").unique("item_id", keep="first")
    return {name: rows.drop_nulls() for name, rows in found.items() if len(rows) >= FEWEST}


def _facts(events: pl.DataFrame) -> pl.DataFrame:
    """What a catalogue might say of each item's events."""
    return events.group_by("item_id").agg(
        pl.len().cast(pl.Float64).alias("number of events"),
        pl.col("target").sum().cast(pl.Float64).alias("number of relevant events"),
        pl.col("user_id").n_unique().cast(pl.Float64).alias("number of users"),
        pl.col("rating").count().cast(pl.Float64).alias("number of ratings"),
        pl.col("rating").mean().alias("mean rating"),
        pl.col("rating").sum().alias("sum of ratings"),
    )


def _told(both: pl.DataFrame, facts: Sequence[str]) -> tuple[str, list[str], int] | None:
    """Which fact the number is, on which items, and of how many; None if it is none of the future's."""
    digits = _digits(both["number"].to_numpy())
    nearly = 0.51 * 10.0**-digits if digits else 0
    for fact in facts:
        known = both.select("item_id", "number", now=fact, before=fact + BEFORE).drop_nulls(["number", "now"])
        known = known.with_columns(pl.col("before").fill_null(np.nan))
        number, now, before = (known[name].to_numpy() for name in ("number", "now", "before"))
        for shape, function in SHAPES.items():
            with np.errstate(divide="ignore", invalid="ignore"):
                later, earlier = np.round(function(now), digits), np.round(function(before), digits)
            telling = later != earlier
            if np.count_nonzero(telling) < FEWEST:
                continue
            same = telling & np.isclose(number, later, rtol=0, atol=nearly)
            constant = pl.Series(later[telling]).value_counts()["count"].to_numpy().max() / telling.sum()
            share = same.sum() / telling.sum()
            if share >= AGREEMENT and share >= constant + BEYOND_CHANCE:
                items = known["item_id"].filter(pl.Series(same)).to_list()
                return shape + fact, items, int(telling.sum())
    return None


def _digits(numbers: Numbers) -> int:
    """Decimals in which numbers are written, 4 at most."""
    fits = (
        digits for digits in range(4) if np.allclose(numbers, np.round(numbers, digits), rtol=0, atol=1e-9)
    )
    return next(fits, 4)


def _lacks(material: Material) -> str | None:
    return None if _numbers(material.items) else "numbers in the catalogue"


FEATURES = Check("future features", _find, _lacks)
