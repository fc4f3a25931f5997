"""Staged columns to canonical columns, as polars expressions: the same for text files and for Parquet.

A staged column bears a canonical name and holds text (or lists of text, or attributes), or, out of Parquet,
a number or a time. A value that cannot be read gives its row a `problem`; an unreadable price, quantity or
position is left empty and named in `unread`, because the row is still worth having. Events of a file with
neither times nor positions take the order of their rows for their position.
"""

from collections.abc import Sequence

import polars as pl

from aisle.data.mapping import FileMapping, TimestampUnit
from aisle.data.schema import EVENTS, ITEMS, KIND, KINDS, TIMESTAMP

TRACE = pl.Schema({"source": pl.String(), "row": pl.Int64(), "problem": pl.String()})
"""What readers add to the canonical columns: where a row came from, and what is wrong with it."""

NO_ID = ("", "null", "none", "nan", "undefined", "\\n")
"""What programs write where an id is missing, in lower case."""

TIMES = ("%+", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d", "%Y-%m-%d %H:%M", "%m %d, %Y")
"""Times written as text: ISO 8601 (UTC where no zone is given), and Amazon's `06 17, 2018`."""

PRICE = (
    r"^\s*(?:[\p{Sc}]|[A-Za-z]{1,3}\p{Sc}?)?\s*(-?\d[\d.,]*)\s*(?:[\p{Sc}]|[A-Za-z]{1,3})?\s*"
    r"(?:[-–]\s*[\p{Sc}A-Za-z]{0,3}\s*\d[\d.,]*\s*[\p{Sc}A-Za-z]{0,3}\s*)?$"
)
"""A price with its currency, or a range of two: the first number is taken."""


def canonical(staged: pl.LazyFrame, mapping: FileMapping, source: str) -> pl.LazyFrame:
    """Canonical columns, then `source`, `row`, `problem`, then `unread`: optional values left empty.

    Args:
        staged: canonical names with staged types, `row` and `problem`.
        mapping: which columns the file has, and how kinds and times are written.
        source: name of the file.
    """
    schema = staged.collect_schema()
    table = ITEMS if mapping.table == "items" else EVENTS
    values = {name: _value(name, schema, mapping) for name in table}
    unreadable = {
        name: pl.col(name).is_not_null() & _filled(name, schema[name]) & values[name].is_null()
        for name in ("timestamp", "rating", "kind", "price", "quantity", "position")
        if name in schema and name in table
    }
    required = [pl.when(values["item_id"].is_null()).then(pl.lit("no item id"))]
    if mapping.table == "events":
        search = (values["kind"].cast(pl.String) == "search").fill_null(False)
        required = [
            pl.when(values["user_id"].is_null()).then(pl.lit("no user id")),
            pl.when(values["item_id"].is_null() & ~search).then(pl.lit("no item id")),
        ]
        required += [
            pl.when(unreadable[name]).then(pl.lit(f"unreadable {name}"))
            for name in ("timestamp", "rating")
            if name in unreadable
        ]
        required.append(
            pl.when(values["kind"].is_null()).then(
                pl.when(unreadable["kind"]).then(pl.lit("unknown kind")).otherwise(pl.lit("no kind"))
                if "kind" in unreadable
                else pl.lit("no kind")
            )
        )
    optional = [
        pl.when(unreadable[name]).then(pl.lit(name))
        for name in ("price", "quantity", "position")
        if name in unreadable
    ]
    return staged.select(
        *(value.cast(table[name]).alias(name) for name, value in values.items()),
        pl.lit(source).alias("source"),
        pl.col("row").cast(pl.Int64),
        pl.coalesce(pl.col("problem").cast(pl.String), *required).alias("problem"),
        (pl.concat_str(optional, separator=" ", ignore_nulls=True) if optional else pl.lit("")).alias(
            "unread"
        ),
    )


def _value(name: str, schema: pl.Schema, mapping: FileMapping) -> pl.Expr:
    """The canonical column `name`, out of the staged column of that name."""
    if name == "kind":
        return kinds(mapping)
    if name == "position" and "position" not in schema and "timestamp" not in schema:
        return pl.col("row") - 1
    if name not in schema:
        return pl.lit(None)
    column, dtype = pl.col(name), schema[name]
    match name:
        case "user_id" | "item_id":
            return ids(column, dtype)
        case "timestamp":
            return times(column, dtype, mapping.timestamp_unit, mapping.timestamp_format)
        case "rating" | "quantity":
            return numbers(column, dtype)
        case "position":
            return numbers(column, dtype).cast(pl.Int64, strict=False)
        case "price":
            return prices(column, dtype)
        case "categories":
            return categories(column, mapping.category_separator)
        case "attributes":
            return attributes(column, mapping.without)
    text = column.cast(pl.String).str.strip_chars()
    return pl.when(text != "").then(text)


def _filled(name: str, dtype: pl.DataType) -> pl.Expr:
    """Whether a staged single value holds more than a sign of nothing."""
    if dtype != pl.String:
        return pl.col(name).is_not_null() & (pl.col(name).is_not_nan() if dtype.is_float() else pl.lit(True))
    return ~pl.col(name).str.strip_chars().str.to_lowercase().is_in(list(NO_ID)).fill_null(True)


def is_no_id(value: str | None) -> bool:
    """Whether an id is one of the ways to write that there is none.

    >>> is_no_id("None"), is_no_id("B01")
    (True, False)
    """
    return value is None or value.strip().lower() in NO_ID


def ids(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Ids as text: trimmed, whole numbers without `.0`, null for every way to write that there is none.

    >>> frame = pl.DataFrame({"id": [" B01", "12.0", "null", ""]})
    >>> frame.select(ids(pl.col("id"), pl.String()))["id"].to_list()
    ['B01', '12', None, None]
    """
    if dtype.is_float():
        whole = column.is_finite() & (column == column.round()) & (column.abs() < 2**53)
        return pl.when(whole).then(column).cast(pl.Int64).cast(pl.String)
    text = column.cast(pl.String).str.strip_chars().str.replace(r"^(-?\d+)\.0+$", "$1")
    return pl.when(~text.str.to_lowercase().is_in(list(NO_ID))).then(text)


def numbers(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Finite numbers, Float64; null for anything else."""
    text = column.str.strip_chars() if dtype == pl.String else column
    number = text.cast(pl.Float64, strict=False)
    return pl.when(number.is_finite()).then(number)


def prices(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Prices, Float64: numbers, or texts with a currency; of a range the lower end, null for anything else.

    A comma before exactly three digits separates thousands, any other comma is a decimal point.

    >>> frame = pl.DataFrame({"price": ["$12.99", "$5.00 - $20.00", "1,299.00 EUR", "9,99 €", ".a{}", "-3"]})
    >>> frame.select(prices(pl.col("price"), pl.String()))["price"].to_list()
    [12.99, 5.0, 1299.0, 9.99, None, -3.0]
    """
    if dtype != pl.String:
        return numbers(column, dtype)
    number = column.str.extract(PRICE, 1)
    plain = number.str.replace_all(r",(\d{3})\b", "$1").str.replace(",", ".", literal=True)
    return pl.coalesce(numbers(column, dtype), numbers(plain, dtype))


def times(
    column: pl.Expr, dtype: pl.DataType, unit: TimestampUnit | None = None, form: str | None = None
) -> pl.Expr:
    """Times in UTC, microseconds: numbers since 1970 or texts (`form`, else :data:`TIMES`).

    The unit of a number is told by its size unless `unit` says it: seconds below 10^11, milliseconds below
    10^14, microseconds below 10^17, nanoseconds above.

    >>> at = ["1393545600", "1393545600000", "2014-02-28", "2014-02-28T01:00:00+01:00"]
    >>> frame = pl.DataFrame({"at": at})
    >>> frame.select(times(pl.col("at"), pl.String()))["at"].dt.epoch("s").unique().to_list()
    [1393545600]
    """
    if dtype.is_temporal():
        if isinstance(dtype, pl.Datetime) and dtype.time_zone is not None:
            return column.dt.convert_time_zone("UTC").cast(TIMESTAMP)
        if dtype in (pl.Datetime, pl.Date):
            return column.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
        return pl.lit(None, TIMESTAMP)
    number = numbers(column, dtype)
    size = number.abs()
    per_unit = {"s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1e-3}
    factor = (
        pl.lit(per_unit[unit])
        if unit
        else pl.when(size < 1e11)
        .then(1e6)
        .when(size < 1e14)
        .then(1e3)
        .when(size < 1e17)
        .then(1.0)
        .otherwise(1e-3)
    )
    counted = (number * factor).round().cast(pl.Int64, strict=False).cast(TIMESTAMP)
    if dtype != pl.String:
        return counted
    text = column.str.strip_chars()
    forms: Sequence[str] = (form,) if form else TIMES
    written = [text.str.to_datetime(one, time_unit="us", time_zone="UTC", strict=False) for one in forms]
    return pl.coalesce(*written) if form else pl.coalesce(counted, *written)


def kinds(mapping: FileMapping) -> pl.Expr:
    """Event kinds: the one of all rows, or a column's, by the mapping's `kinds` or by their own names."""
    if mapping.kind is not None:
        return pl.lit(mapping.kind).cast(KIND)
    named: dict[str, str] = {str(kind): kind for kind in KINDS}
    named |= {value.strip().lower(): kind for value, kind in mapping.kinds.items()}
    text = pl.col("kind").cast(pl.String).str.strip_chars().str.to_lowercase()
    return text.replace_strict(list(named), list(named.values()), default=None, return_dtype=KIND)


def categories(column: pl.Expr, separator: str | None) -> pl.Expr:
    """Category names, from broad to narrow, trimmed and without repeats; null where there are none."""
    if separator is not None:
        column = column.list.join(separator).str.split(separator)
    trimmed = column.list.eval(pl.element().str.strip_chars())
    filled = trimmed.list.eval(pl.element().filter(pl.element() != "")).list.unique(maintain_order=True)
    return pl.when(filled.list.len() > 0).then(filled)


def attributes(column: pl.Expr, without: Sequence[str]) -> pl.Expr:
    """Attributes but those named in `without` (in any case); null where there are none."""
    unwanted = [name.lower() for name in without]
    name = pl.element().struct.field("name").str.to_lowercase()
    kept = column.list.eval(pl.element().filter(~name.is_in(unwanted)))
    return pl.when(kept.list.len() > 0).then(kept)
