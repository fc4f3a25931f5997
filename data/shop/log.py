"""The behaviour log: views, carts, purchases and searches."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aisle.data.shop.catalogue import Catalogue, Rows
from aisle.data.shop.choices import MOST_VIEWS, Choices
from aisle.data.shop.draws import Keys, below, child, root, uniform
from aisle.data.shop.searches import search_words
from aisle.data.shop.settings import START
from aisle.data.shop.tastes import Tastes
from aisle.data.shop.visits import Visits

ACTIONS = ("lookup", "look", "basket", "order")
"""The shop's own names for search, view, cart and purchase."""

OPENED = int(START.timestamp())

LOG = pl.Schema(
    {
        "visitor": pl.String(),
        "action": pl.Enum(list(ACTIONS)),
        "sku": pl.String(),
        "at": pl.Int64(),
        "words": pl.String(),
        "shown_price": pl.Float64(),
        "pieces": pl.Int64(),
    }
)
"""Columns of the log; `at` is in milliseconds since 1970, UTC."""


def user_ids(users: Rows) -> pl.Series:
    """Ids of users, String."""
    return pl.Series("visitor", users, dtype=pl.Int64).cast(pl.String).str.zfill(7).str.replace("^", "U")


def make_log(
    catalogue: Catalogue, tastes: Tastes, visits: Visits, choices: Choices, seed: int
) -> pl.DataFrame:
    """Events of the visits in the columns of `LOG`, in no order.

    On a visit: the search, then the views, the product liked best last, then its cart, then its purchase; all
    within a quarter of an hour.
    """
    start = 1000 * (OPENED + 86_400 * visits.day + visits.second) + below(child(visits.keys, 20), 1000)
    searching = np.nonzero(visits.searching)[0]
    viewer, place = np.nonzero(choices.viewed)
    carting, buying = np.nonzero(choices.carted)[0], np.nonzero(choices.bought)[0]
    last_view = start + 1000 * (15 + 40 * MOST_VIEWS)
    cart_at = last_view + 1000 * (10 + below(child(visits.keys, 22), 90))
    buy_at = cart_at + 1000 * (20 + below(child(visits.keys, 23), 500))
    view_at = last_view[viewer] - 1000 * (40 * place + below(child(visits.keys[viewer], 30 + place), 20))

    row = np.concatenate([searching, viewer, carting, buying])
    action = np.repeat(np.arange(4), [len(searching), len(viewer), len(carting), len(buying)])
    at = np.concatenate([start[searching], view_at, cart_at[carting], buy_at[buying]])
    best = choices.items[:, 0]
    item = np.concatenate([best[searching], choices.items[viewer, place], best[carting], best[buying]])
    names = action != 0
    words = search_words(
        catalogue, tastes, visits, best, searching, child(root(seed, "search"), tastes.users)
    )
    return pl.DataFrame(
        {
            "visitor": user_ids(tastes.users).gather(visits.user[row]),
            "action": pl.Series(ACTIONS, dtype=LOG["action"]).gather(action),
            "sku": _where(names, catalogue.ids.gather(item)),
            "at": at,
            "words": pl.concat(
                [words, pl.Series([None], dtype=pl.String).new_from_index(0, len(row) - len(words))]
            ),
            "shown_price": _where(names, pl.Series(catalogue.price[item])),
            "pieces": _where(action == 3, pl.Series(_pieces(visits.keys[row]))),
        },
        schema=LOG,
    )


def _pieces(keys: Keys) -> Rows:
    """Pieces bought: mostly one, at times two or three."""
    draw = uniform(child(keys, 24))
    return 1 + (draw > 0.9).astype(np.int64) + (draw > 0.98)


def _where(there: NDArray[np.bool_], values: pl.Series) -> pl.Series:
    return pl.select(pl.when(pl.Series(there)).then(values)).to_series()
