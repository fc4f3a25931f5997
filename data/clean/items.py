"""Which rows of the catalogue stay."""

import numpy as np
import polars as pl

from aisle.data.clean.events import RARE_ITEM, Keys
from aisle.data.clean.rows import item_reason
from aisle.data.schema import ITEMS

DUPLICATE_ITEM = "duplicate item"


def item_keys(items: pl.DataFrame, keys: Keys) -> pl.DataFrame:
    """One narrow row for each catalogue row, in order.

    Columns: item (UInt32), filled (UInt8, how many columns say something), reason (Categorical, null where
    the row by itself is fine).
    """
    return items.select(
        item=pl.col("item_id").cast(keys.items).to_physical(),
        filled=pl.sum_horizontal(_says_something(column) for column in ITEMS).cast(pl.UInt8),
        reason=item_reason().cast(keys.reasons),
    )


def decide_items(rows: pl.DataFrame, events: pl.DataFrame, min_item_events: int) -> pl.Series:
    """Why each catalogue row is rejected, Categorical (n_rows), null for those that stay.

    Of several rows with one id, the fullest stays, the first of those that are equally full.

    Args:
        rows: see :func:`item_keys`.
        events: the events that stay, with a column `item`.
        min_item_events: fewest events of an item that stays; 0 keeps items without any.
    """
    reasons = rows["reason"].clone()  # scatter writes in place
    left = rows.with_row_index("row").filter(pl.col("reason").is_null())
    best = left.sort("item", -pl.col("filled").cast(pl.Int16), "row").unique("item", keep="first")
    again = left.join(best, on="row", how="anti")["row"]
    reasons.scatter(again, pl.Series([DUPLICATE_ITEM]).cast(reasons.dtype))
    if min_item_events:
        codes = best["item"].to_numpy()
        counts = np.bincount(events["item"].drop_nulls().to_numpy(), minlength=int(codes.max(initial=0)) + 1)
        rare = best.filter(pl.Series(counts[codes] < min_item_events))["row"]
        reasons.scatter(rare, pl.Series([RARE_ITEM.format(min_item_events)]).cast(reasons.dtype))
    return reasons


def without_record(rows: pl.DataFrame, reasons: pl.Series, events: pl.DataFrame, keys: Keys) -> pl.DataFrame:
    """Catalogue rows with nothing but an id, for items that kept events name and no kept row describes.

    Sorted by id, so that the same input gives the same catalogue.
    """
    described = rows.filter(reasons.is_null())["item"].unique()
    codes = events["item"].drop_nulls().unique()
    missing = codes.filter(~codes.is_in(described.implode()))
    names = keys.items.categories.to_series().gather(missing).sort()
    return pl.DataFrame({"item_id": names}).match_to_schema(ITEMS, missing_columns="insert")


def _says_something(column: str) -> pl.Expr:
    value = pl.col(column)
    if isinstance(ITEMS[column], pl.List):
        return value.list.len().fill_null(0) > 0
    return value.is_not_null()
