"""Columns of a table with one row a user, as numbers."""

from dataclasses import dataclass

import polars as pl

from aisle.data.errors import InputError
from aisle.eval.online.estimate import Floats
from aisle.eval.runs import require_columns

WHAT = "table of users"


@dataclass(frozen=True)
class Columns:
    """Names of the columns that hold a metric: see :class:`aisle.eval.online.experiment.Metric`."""

    value: str = "value"
    per: str | None = None
    past: str | None = None


@dataclass(frozen=True)
class Numbers:
    """What they hold, float64 (n_users,) each; users without a past value have the mean of the others.

    `newcomers` counts them: the mean is the same in all arms, so that the comparison stays fair.
    """

    value: Floats
    per: Floats | None
    past: Floats | None
    newcomers: int


def numbers(table: pl.DataFrame, columns: Columns) -> Numbers:
    """The columns of a metric.

    Raises:
        InputError: one is missing, is not of numbers, or has nulls (but for past values), NaN or infinite
            ones, or a denominator is negative.
    """
    names = [name for name in (columns.value, columns.per, columns.past) if name is not None]
    require_columns(table, *names, what=WHAT)
    if not len(table):
        raise InputError(f"a {WHAT} with rows", "none", "check what wrote it")
    for name in names:
        _finite(table[name], nulls=name == columns.past)
    per = None if columns.per is None else table[columns.per].cast(pl.Float64).to_numpy()
    if per is not None and (per < 0).any():
        raise InputError(f"{columns.per} of 0 or more", f"{per.min():g}", "a denominator counts something")
    past, newcomers = None, 0
    if columns.past is not None:
        known = table[columns.past].cast(pl.Float64)
        newcomers = known.null_count()
        if newcomers == len(known):
            raise InputError(f"past values in {columns.past!r}", "none", "leave --past out")
        past = known.fill_null(known.mean()).to_numpy()
    return Numbers(table[columns.value].cast(pl.Float64).to_numpy(), per, past, newcomers)


def _finite(column: pl.Series, *, nulls: bool) -> None:
    if not (column.dtype.is_numeric() or column.dtype == pl.Boolean or column.dtype == pl.Null):
        raise InputError(f"{column.name} as numbers", f"{column.dtype}", "write it as numbers")
    found = column.cast(pl.Float64)
    if found.null_count() and not nulls:
        raise InputError(
            f"a {column.name} of every user",
            f"{found.null_count():,} nulls of {len(found):,}",
            "write 0 for users who did nothing: leaving them out would bias the comparison",
        )
    wrong = found.drop_nulls().filter(~found.drop_nulls().is_finite())
    if len(wrong):
        raise InputError(
            f"finite numbers in {column.name!r}", f"{len(wrong):,} NaN or infinite", "correct them"
        )
