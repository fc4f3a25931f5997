"""What was known after each review: sums over the reviews up to then, per member and per family.

A member is an item, or a user; a family is the members that a prior is learned from: a category, or the shop.
Reviews are walked through once, oldest first. Every sum of a family that runs over its members (how far their
means lie apart, for example) changes with a review by what it changes for one member, and so is a running
sum too.
"""

import polars as pl

from aisle.data.schema import TIMESTAMP

YEAR = 365.25 * 24 * 60 * 60 * 10**6
"""Microseconds."""

LEAST_SQUARES = 1e-9
"""Squared years: a sum of squares of times below may be rounding, and tells no slope."""


def running_sums(reviews: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Sums over the reviews of each member, and of each family, up to and with each review.

    Args:
        reviews: member, family String; time Datetime; polarity Float64; negative Float64, 0 or 1. Any order.

    Returns:
        Members (member, time, ...) and families (family, time, ...), oldest first. Of each member: `n`
        reviews, sums `x` of polarities and `neg` of negative ones, and, times `t` in years since the first
        review of all, the sums of squares `x_x`, `t_t` and of products `t_x`, around the member's means. Of
        each family: `n`, `x`, `neg` and `members`; `n2` the sum of n squared over its members; `within` and
        `neg_within` the sums of squares around the members' means, `mean2` and `neg2` those of the means
        (of n times their square); `slopes` the members that have a slope, and over those `t_t`, its square
        `t_t2`, `t_x`, and `slope2`, the sum of t_x squared over t_t.
    """
    first = reviews["time"].min()
    ordered = reviews.sort("time", maintain_order=True)
    t = (pl.col("time") - pl.lit(first, TIMESTAMP)).dt.total_microseconds() / YEAR
    raw = ordered.with_columns(t=t).with_columns(
        pl.int_range(1, pl.len() + 1).over("member").cast(pl.Float64).alias("n"),
        *(_total(pl.col(name)).alias(f"s_{name}") for name in ("t", "polarity", "negative")),
        _total(pl.col("polarity") ** 2).alias("s_xx"),
        _total(pl.col("t") ** 2).alias("s_tt"),
        _total(pl.col("t") * pl.col("polarity")).alias("s_tx"),
    )
    n, x, times = pl.col("n"), pl.col("s_polarity"), pl.col("s_t")
    members = raw.select(
        "member",
        "family",
        "time",
        "n",
        x=x,
        neg=pl.col("s_negative"),
        x_x=(pl.col("s_xx") - x**2 / n).clip(lower_bound=0),
        t_t=(pl.col("s_tt") - times**2 / n).pipe(_nothing_below, LEAST_SQUARES),
        t_x=pl.col("s_tx") - times * x / n,
    )
    sloped = pl.col("t_t") > 0
    terms = {
        "n": n,
        "x": pl.col("x"),
        "neg": pl.col("neg"),
        "members": pl.lit(1.0),
        "n2": n**2,
        "within": pl.col("x_x"),
        "neg_within": pl.col("neg") - pl.col("neg") ** 2 / n,
        "mean2": pl.col("x") ** 2 / n,
        "neg2": pl.col("neg") ** 2 / n,
        "slopes": sloped.cast(pl.Float64),
        "t_t": pl.col("t_t"),
        "t_t2": pl.col("t_t") ** 2,
        "t_x": pl.when(sloped).then("t_x").otherwise(0.0),
        "slope2": pl.when(sloped).then(pl.col("t_x") ** 2 / pl.col("t_t")).otherwise(0.0),
    }
    changes = [
        (term - term.shift(1).fill_null(0.0)).over("member").alias(name) for name, term in _rows(terms)
    ]
    steps = members.select("family", "time", *changes)
    families = steps.with_columns(pl.col(name).cum_sum().over("family") for name in terms)
    return members.drop("family"), families


def _rows(terms: dict[str, pl.Expr]) -> list[tuple[str, pl.Expr]]:
    """The terms as columns, a constant one for each row."""
    return [(name, term + 0 * pl.col("n")) for name, term in terms.items()]


def _total(values: pl.Expr) -> pl.Expr:
    return values.cum_sum().over("member")


def _nothing_below(values: pl.Expr, least: float) -> pl.Expr:
    """0 where a sum of squares is so small that rounding may have made it."""
    return pl.when(values > least).then(values).otherwise(0.0)
