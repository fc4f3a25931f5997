"""What reviewers think of each item, as columns for features."""

import numpy as np
import polars as pl

from aisle.data.prepared import BEFORE, Prepared
from aisle.data.schema import TIMESTAMP
from aisle.data.visitors import last_moment
from aisle.ranker.columns import ItemColumns
from aisle.ranker.sentiment.reviews import item_categories, shop_reviews
from aisle.ranker.sentiment.settings import StandingSettings
from aisle.ranker.sentiment.standing import COLUMNS, NOBODY, item_sentiment

GROUP = "sentiment"
MEAN = f"{GROUP}.mean"
PAST = BEFORE["test"]


def sentiment_columns(shop: Prepared, settings: StandingSettings) -> ItemColumns:
    """The standing of each item when the last event before the test part had happened, by `sentiment.<what>`.

    Later reviews are not read. An item without reviews, and one that the shop does not have yet, has the
    prior and `sentiment.has_reviews` 0. A shop whose reviews have no stars or no times has no such columns.

    Args:
        shop: whose reviews before the test part are read.
        settings: of the standing.
    """
    moment = last_moment(shop)
    reviews = shop_reviews(shop, PAST)
    if moment is None or reviews["polarity"].null_count() == len(reviews):
        return ItemColumns({}, {})
    asked = pl.DataFrame({"item_id": [*shop.item_ids.values, NOBODY]}).with_columns(
        moment=pl.lit(moment + 1).cast(TIMESTAMP)
    )
    found = item_sentiment(asked, reviews, item_categories(shop.items, settings.category_items), settings)
    columns = {name: found[name].cast(pl.Float32).to_numpy() for name in COLUMNS}
    columns["sentiment_count"] = np.log1p(columns["sentiment_count"])
    named = {f"{GROUP}.{name.removeprefix('sentiment_')}": values for name, values in columns.items()}
    return ItemColumns(
        {name: values[:-1] for name, values in named.items()},
        {name: float(values[-1]) for name, values in named.items()},
    )
