"""Values of rows that stay: text made plain, impossible numbers removed."""

from collections import Counter

import polars as pl

from aisle.data.clean.text import repair, repair_attributes, repair_lists, repair_titles
from aisle.data.settings import CleanSettings


def repair_items(items: pl.DataFrame, settings: CleanSettings) -> tuple[pl.DataFrame, Counter[str]]:
    """Catalogue rows with repaired values, and how many values changed, by column."""
    plain = items.with_columns(
        repair_titles(items["title"]),
        repair(items["description"], one_line=False),
        repair(items["brand"]),
        repair_lists(items["categories"]),
        repair_attributes(items["attributes"]),
        _believable("price", settings.max_price),
    )
    return plain, _changes(
        items, plain, ("title", "description", "brand", "categories", "attributes", "price")
    )


def repair_events(events: pl.DataFrame, settings: CleanSettings) -> tuple[pl.DataFrame, Counter[str]]:
    """Events with repaired values, and how many values changed, by column."""
    plain = events.with_columns(
        repair(events["text"], one_line=False),
        _believable("price", settings.max_price),
        _believable("quantity", settings.max_quantity),
        pl.col("rating").fill_nan(None),
    )
    return plain, _changes(events, plain, ("text", "price", "quantity", "rating"))


def _believable(column: str, highest: float) -> pl.Expr:
    """A number if it is above 0 and at most `highest`, else null."""
    value = pl.col(column)
    return pl.when((value > 0) & (value <= highest)).then(value)


def _changes(before: pl.DataFrame, after: pl.DataFrame, columns: tuple[str, ...]) -> Counter[str]:
    changed = {column: int((before[column].ne_missing(after[column])).sum()) for column in columns}
    return Counter({column: count for column, count in changed.items() if count})
