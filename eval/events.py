"""Anybody's events as canonical ones."""

import numpy as np
import polars as pl

from aisle.data.errors import InputError
from aisle.data.schema import EVENTS, TIMESTAMP

FARTHEST = 2.0**62
"""Microseconds that a date can count."""


def events_of(table: pl.DataFrame, what: str) -> pl.LazyFrame:
    """A table with the columns of canonical events, null where it has none; other columns are dropped.

    Args:
        table: user_id and item_id, as text or whole numbers; timestamps as dates, or as whole numbers since
            1970 (seconds, milliseconds or microseconds, told apart by their size).
        what: its name, for what is wrong with it.

    Raises:
        InputError: a column is missing, or no date where a date is expected.
    """
    for name in ("user_id", "item_id"):
        if name not in table.columns:
            raise InputError(f"a column {name!r} in {what}", ", ".join(table.columns), f"add {name!r}")
    columns = []
    for name, dtype in EVENTS.items():
        kept = pl.col(name) if name in table.columns else pl.lit(None, dtype)
        if name in ("user_id", "item_id", "text", "kind"):
            kept = kept.cast(pl.String)
        elif name == "timestamp":
            kept = _dates(table, what) if name in table.columns else kept
        else:
            kept = kept.cast(dtype, strict=False)
        columns.append(kept.alias(name))
    return table.lazy().select(columns)


def _dates(table: pl.DataFrame, what: str) -> pl.Expr:
    """The column timestamp as dates: dates as they are, whole numbers as seconds, milli- or microseconds."""
    dtype = table.schema["timestamp"]
    column = pl.col("timestamp")
    if isinstance(dtype, pl.Datetime):
        zoned = column if dtype.time_zone else column.dt.replace_time_zone("UTC")
        return zoned.cast(TIMESTAMP)
    if dtype == pl.Date:
        return column.cast(TIMESTAMP)
    if dtype.is_numeric():
        seconds = table["timestamp"].cast(pl.Float64)
        if not seconds.is_finite().all() or (seconds.abs() >= FARTHEST).any():
            raise InputError(
                f"dates or whole numbers as timestamp in {what}",
                "NaN, infinite or enormous numbers",
                "write null where a moment is not known",
            )
        largest = float(seconds.abs().max() or 0)  # type: ignore[arg-type]
        unit = next(unit for unit, most in ((10**6, 1e11), (10**3, 1e14), (1, np.inf)) if largest < most)
        return (column.cast(pl.Float64) * unit).cast(pl.Int64).cast(TIMESTAMP)
    raise InputError(
        f"dates or whole numbers as timestamp in {what}", f"{dtype}", "convert the column before"
    )
