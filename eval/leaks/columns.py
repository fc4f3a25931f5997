"""Columns of numbers and dates that models may read: of items, of users and of train."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import polars as pl

from aisle.eval.leaks.material import Material

Entity = Literal["item_id", "user_id"]

FEWEST = 10
"""Items or users on which past and future must disagree before anything can be told."""

STEADY = 0.95
"""Share of the items (users) with several events that have one value in all of them, if it is theirs."""


class Column(NamedTuple):
    """What a column says of each item or user.

    Attributes:
        name: of the column, with where it stands.
        entity: what it tells of.
        numbers: that id and `number`, float64; dates in seconds since 1970.
    """

    name: str
    entity: Entity
    numbers: pl.DataFrame


def columns(material: Material) -> Iterator[Column]:
    """All columns in which a count, a mean or a date may stand."""
    for name, rows in _of_items(material.items).items():
        yield Column(f"{name!r} of the catalogue", "item_id", rows)
    if material.users is not None:
        for name in _readable(material.users, "user_id"):
            yield Column(f"{name!r} of the users", "user_id", _numbers(material.users, "user_id", name))
    if material.extras is not None:
        for name in _readable(material.extras, "user_id", "item_id", "time"):
            for entity in ("user_id", "item_id"):
                steady = _steady(_numbers(material.extras, entity, name), entity)
                if steady is not None:
                    yield Column(f"{name!r} of train", entity, steady)


def numeric(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Numbers as they are; dates in seconds since 1970; float64."""
    if isinstance(dtype, pl.Datetime | pl.Date):
        return column.cast(pl.Datetime("us")).dt.timestamp("us") / 1e6
    return column.cast(pl.Float64)


def _readable(table: pl.DataFrame, *ids: str) -> Iterator[str]:
    for name, dtype in table.schema.items():
        if name not in ids and (dtype.is_numeric() or isinstance(dtype, pl.Datetime | pl.Date)):
            yield name


def _numbers(table: pl.DataFrame, entity: Entity, name: str) -> pl.DataFrame:
    found = table.select(entity, number=numeric(pl.col(name), table.schema[name]))
    return found.filter(pl.col("number").is_finite())


def _of_items(items: pl.DataFrame | None) -> dict[str, pl.DataFrame]:
    """Numbers of the catalogue by name, those written as text among its attributes, too."""
    if items is None:
        return {}
    found = {name: _numbers(items, "item_id", name) for name in _readable(items, "item_id")}
    if "attributes" in items.columns and isinstance(items.schema["attributes"], pl.List):
        named = items.select("item_id", "attributes").explode("attributes").unnest("attributes")
        parsed = named.with_columns(number=pl.col("value").cast(pl.Float64, strict=False)).drop_nulls(
            "number"
        )
        for (name,), rows in parsed.group_by("name", maintain_order=True):
            found[str(name)] = rows.select("item_id", "number").unique("item_id", keep="first")
    return {name: rows for name, rows in found.items() if len(rows) >= FEWEST}


def _steady(rows: pl.DataFrame, entity: Entity) -> pl.DataFrame | None:
    """One number for each item (user) that has one in all of its events, as a running count has not."""
    each = rows.group_by(entity, maintain_order=True).agg(
        pl.col("number").first(), several=pl.len() > 1, one=pl.col("number").n_unique() == 1
    )
    several = each.filter("several")
    if len(several) < FEWEST or several["one"].mean() < STEADY:  # type: ignore[operator]
        return None
    return each.filter("one").select(entity, "number")
