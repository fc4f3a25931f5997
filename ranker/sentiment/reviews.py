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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from aisle.data.errors import InputError
from aisle.data.prepared import Part, Prepared
from aisle.data.readers.canonical import ids, numbers, times
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


@dataclass(frozen=True)
class Columns:
    """Which columns of a table say what of a review; None: the table does not say it.

    Attributes:
        text: one or more, joined in this order (a title and the words).
        stars: 0 to 5.
        label: a class that somebody gave.
        item_id, user_id: who reviewed what.
        time: when, in any form that `aisle prepare` reads.
    """

    text: tuple[str, ...]
    stars: str | None = None
    label: str | None = None
    item_id: str | None = None
    user_id: str | None = None
    time: str | None = None


def table_reviews(table: pl.DataFrame, columns: Columns) -> pl.DataFrame:
    """Reviews of any table (`REVIEWS`, and `label` String), in its order, none left out.

    Raises:
        InputError: a column is not there.
    """
    single = (columns.stars, columns.label, columns.item_id, columns.user_id, columns.time)
    missing = [name for name in (*columns.text, *single) if name is not None and name not in table.columns]
    if missing or not columns.text:
        found = f"no column {missing[0]!r}" if missing else "no column of texts is named"
        raise InputError("columns of the table", found, f"one of: {', '.join(table.columns)}")

    def told(name: str | None, dtype: pl.DataType) -> pl.Expr:
        if name is None:
            return pl.lit(None, dtype)
        column, given = pl.col(name), table.schema[name]
        if dtype == TIMESTAMP:
            return times(column, given)
        return numbers(column, given) if dtype == pl.Float64 else ids(column, given)

    words = [pl.col(name).cast(pl.String).str.strip_chars() for name in columns.text]
    text = pl.concat_str(
        [pl.when(word != "").then(word) for word in words], separator=". ", ignore_nulls=True
    )
    stars = told(columns.stars, pl.Float64())
    return table.select(
        user_id=told(columns.user_id, pl.String()),
        item_id=told(columns.item_id, pl.String()),
        time=told(columns.time, TIMESTAMP),
        stars=stars,
        text=pl.when(text != "").then(text),
        polarity=polarity_of_stars(stars),
        label=told(columns.label, pl.String()),
    )


def read_reviews(source: Path, columns: Columns, parts: Sequence[Part]) -> pl.DataFrame:
    """Reviews of a table, or of the run of a shop (its folder), where `columns` and the label mean nothing.

    Args:
        source: a file, or a folder that holds `prepare/`.
        columns: of the file.
        parts: of the shop's split.

    Raises:
        InputError: neither is there, or a column is not.
    """
    if source.is_dir():
        shop = shop_reviews(Prepared(source / "prepare"), parts)
        return shop.with_columns(label=pl.lit(None, pl.String))
    from aisle.retriever.corpus import read_table  # brings torch along

    return table_reviews(read_table(source), columns)


def read_scored(path: Path) -> pl.DataFrame:
    """Reviews from a Parquet file that `aisle sentiment score` wrote.

    Raises:
        InputError: it is not there, cannot be read, or lacks a column of `REVIEWS`.
    """
    try:
        table = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        found = f"{path}: {(str(error).splitlines() or [''])[0]}"
        raise InputError(
            "a Parquet file of scored reviews", found, "write it with `aisle sentiment score`"
        ) from error
    check_columns(table, REVIEWS, "scored reviews")
    return table


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


def check_columns(table: pl.DataFrame, schema: Mapping[str, pl.DataType], what: str) -> None:
    """Refuse a table without the given columns, or with others in their place.

    Raises:
        InputError: a column is missing, or of another type.
    """
    for name, dtype in schema.items():
        if table.schema.get(name) != dtype:
            found = f"{name}: {table.schema[name]}" if name in table.columns else f"no column {name}"
            raise InputError(f"{what} with a column {name} of type {dtype}", found, "cast or add it")
