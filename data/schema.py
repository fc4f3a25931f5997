"""The canonical form of a shop: items and events, with types and units.

Every reader produces these columns in this order; everything after the readers sees nothing else.

items
    =============  ==============================  ======================================================
    item_id        String, never null              the shop's own id
    title          String                          one line, plain text
    description    String                          plain text
    brand          String                          brand, author or maker
    categories     List[String]                    path from broad to narrow, without repeats
    price          Float64, > 0                    in the shop's currency
    image_url      String                          as given
    attributes     List[Struct{name, value}]       whatever else the catalogue says, as text
    =============  ==============================  ======================================================

events
    =============  ==============================  ======================================================
    user_id        String, never null              the shop's own id
    item_id        String                          null only for searches
    kind           Enum(KINDS), never null         what the user did
    timestamp      Datetime("us", "UTC")           when; null where only the order is known
    position       Int64, >= 0                     place in the user's history where only the order is known
    rating         Float64, 0 to 5                 stars
    text           String                          words of the review, or of the search
    price          Float64, > 0                    paid or shown, in the shop's currency
    quantity       Float64, > 0                    pieces, or weight for goods sold by weight
    =============  ==============================  ======================================================
"""

from collections.abc import Iterable
from typing import Literal, get_args

import polars as pl

Kind = Literal["view", "click", "cart", "purchase", "review", "search"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""Event kinds, from the weakest sign of interest in an item to the strongest; a search names no item."""

TARGET_PREFERENCE: tuple[Kind, ...] = ("purchase", "review", "cart", "click", "view")
"""What counts as a relevant item when the settings do not say: the first of these that the data holds."""

KIND = pl.Enum(list(KINDS))
TIMESTAMP = pl.Datetime("us", "UTC")

DAY = 24 * 60 * 60 * 10**6
"""A day in the unit of `TIMESTAMP`, microseconds."""

ATTRIBUTES = pl.List(pl.Struct({"name": pl.String, "value": pl.String}))

ITEMS = pl.Schema(
    {
        "item_id": pl.String(),
        "title": pl.String(),
        "description": pl.String(),
        "brand": pl.String(),
        "categories": pl.List(pl.String()),
        "price": pl.Float64(),
        "image_url": pl.String(),
        "attributes": ATTRIBUTES,
    }
)

EVENTS = pl.Schema(
    {
        "user_id": pl.String(),
        "item_id": pl.String(),
        "kind": KIND,
        "timestamp": TIMESTAMP,
        "position": pl.Int64(),
        "rating": pl.Float64(),
        "text": pl.String(),
        "price": pl.Float64(),
        "quantity": pl.Float64(),
    }
)


def of_kinds(kinds: Iterable[Kind]) -> pl.Expr:
    """Whether an event is of one of `kinds`."""
    return pl.col("kind").cast(pl.String).is_in(list(kinds))
