"""Realistic dirt, planted at a stated rate and counted, so that cleaning can be tested against the truth."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import numpy as np
import polars as pl

from aisle.data.shop.draws import Keys, child, uniform

FUTURE = int(datetime(2099, 7, 1, tzinfo=UTC).timestamp())
"""The date in 2099, in seconds since 1970."""

Spoil = Callable[[pl.Expr], pl.Expr]


def _html(text: pl.Expr) -> pl.Expr:
    """Tags and entities around the same words."""
    broken = text.str.replace_all(". ", ".<br />", literal=True).str.replace(" ", "&nbsp;", literal=True)
    return pl.format("<p>{}</p>", broken)


Ways = Mapping[str, tuple[str, Spoil]]
"""Name of each kind of dirt, to the column it falls on and what it makes of the column."""

LOG: Ways = {
    "price_minus_3": ("shown_price", lambda price: pl.when(price.is_not_null()).then(-3.0)),
    "date_2099": ("at", lambda at: at % 86_400_000 + 1000 * FUTURE),
}
REVIEWS: Ways = {
    "rating_11": ("overall", lambda _: pl.lit(11.0)),
    "date_2099": ("unixReviewTime", lambda at: at % 86_400 + FUTURE),
    "html": ("reviewText", _html),
}
CATALOGUE: Ways = {
    "price_minus_3": ("price", lambda _: pl.lit("$-3.00")),
    "price_1e9": ("price", lambda _: pl.lit("$1,000,000,000.00")),
    "html": ("title", _html),
}


def spoil(rows: pl.DataFrame, ways: Ways, keys: Keys, rate: float) -> tuple[pl.DataFrame, dict[str, int]]:
    """Spoil a share `rate` of `rows` in each of `ways`, and repeat as many; no row suffers twice.

    A way that changes nothing in a row (a price where there is none) is not counted.

    Args:
        rows: a table.
        ways: how to spoil them.
        keys: one a row.
        rate: share of rows, for each way.

    Returns:
        The table, repeated rows right behind the first, and how many rows suffered what; `rows` counts all.
    """
    draw = uniform(child(keys, 0))
    counts: dict[str, int] = {}
    for number, (name, (column, change)) in enumerate(ways.items(), start=1):
        chosen = pl.Series((draw >= rate * number) & (draw < rate * (number + 1)))
        clean = pl.col(column)
        spoilt = rows.with_columns(pl.when(chosen).then(change(clean)).otherwise(clean).alias(column))
        counts[name] = int(rows[column].ne_missing(spoilt[column]).sum())
        rows = spoilt
    repeated = draw < rate
    rows = rows[np.repeat(np.arange(len(rows)), 1 + repeated)]
    return rows, counts | {"duplicate": int(repeated.sum()), "rows": len(rows)}
