"""Reviews as one table: who said what about which item, when, and how pleased they were.

reviews
    =============  =========================  ======================================================
    user_id        String                     null where nobody is named
    item_id        String                     null where no item is named
    time           Datetime("us", "UTC")      when it was written; null where nobody knows
    stars          Float64, 0 to 5            null where none were given
    text           String                     its words; null where there are none
    polarity       Float64, 0 to 1            how pleased the buyer was: 0 not at all, 1 wholly
    =============  =========================  ======================================================
"""

from collections.abc import Sequence

import polars as pl

from aisle.data.errors import InputError
from aisle.data.prepared import Part, Prepared
from aisle.data.schema import TIMESTAMP, of_kinds

REVIEWS = pl.Schema(
    {
        "user_id": pl.String(),
        "item_id": pl.String(),
        "time": TIMESTAMP,
        "stars": pl.Float64(),
        "text": pl.String(),
        "polarity": pl.Float64(),
    }
)

NEGATIVE_BELOW = 0.5
"""Polarity below which a review is negative: one or two stars, or a classifier that says so."""


def polarity_of_stars(stars: pl.Expr) -> pl.Expr:
    """Polarity of stars: one star or none is 0, three are .5, five are 1; null stays null.

    >>> pl.select(polarity_of_stars(pl.lit(pl.Series([0.0, 1.0, 3.0, 5.0])))).to_series().to_list()
    [0.0, 0.0, 0.5, 1.0]
    """
    return (stars.clip(1, 5) - 1) / 4


def shop_reviews(prepared: Prepared, parts: Sequence[Part] = ("train", "validation", "test")) -> pl.DataFrame:
    """Reviews of a prepared shop (`REVIEWS`), oldest first: events of kind review that have stars or words.

    The parts may hold the future of a moment: what asks about a moment has to look at times, as
    :func:`aisle.ranker.sentiment.standing.item_sentiment` does.

    Args:
        prepared: the shop.
        parts: of its split.

    Returns:
        `polarity` is that of the stars; null where there are none.
    """
    events = prepared.events(*parts).filter(of_kinds(["review"]))
    found = events.select(
        "user_id",
        "item_id",
        time=pl.col("timestamp"),
        stars=pl.col("rating"),
        text=pl.col("text"),
        polarity=polarity_of_stars(pl.col("rating")),
    ).filter(pl.col("stars").is_not_null() | pl.col("text").is_not_null())
    return found.sort("time", "user_id", "item_id", maintain_order=True).collect().match_to_schema(REVIEWS)


def item_categories(items: pl.DataFrame, least_items: int) -> pl.DataFrame:
    """(item_id, category): the narrowest category on each item's path that holds `least_items` items.

    Args:
        items: canonical items, `categories` from broad to narrow.
        least_items: of a category that may stand for its items. Items below no such category are left out.
    """
    if not isinstance(items.schema.get("categories"), pl.List):
        return pl.DataFrame(schema={"item_id": pl.String, "category": pl.String})
    paths = items.select("item_id", category="categories").explode("category").drop_nulls()
    paths = paths.with_columns(level=pl.int_range(pl.len()).over("item_id"))
    large = paths.filter(pl.col("item_id").n_unique().over("category") >= least_items)
    narrowest = large.sort("level", maintain_order=True).group_by("item_id", maintain_order=True).last()
    return narrowest.select("item_id", "category").sort("item_id")


def check_columns(table: pl.DataFrame, schema: dict[str, pl.DataType], what: str) -> None:
    """Refuse a table without the given columns, or with others in their place.

    Raises:
        InputError: a column is missing, or of another type.
    """
    for name, dtype in schema.items():
        if table.schema.get(name) != dtype:
            found = f"{name}: {table.schema[name]}" if name in table.columns else f"no column {name}"
            raise InputError(f"{what} with a column {name} of type {dtype}", found, "cast or add it")
