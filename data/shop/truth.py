"""The planted truth on disk, so that tests know the right answer."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl

from aisle.data.shop.catalogue import Catalogue, make_catalogue
from aisle.data.shop.log import user_ids
from aisle.data.shop.oracle import oracle_run
from aisle.data.shop.settings import DAYS, PERIODS, START, ShopSettings, read_parameters
from aisle.data.shop.styles import STYLES
from aisle.data.shop.tastes import INTERESTS, Tastes, make_tastes


def write_truth(folder: Path, catalogue: Catalogue, settings: ShopSettings) -> None:
    """Write `items.parquet`, `tastes.parquet` and `oracle.parquet` into `folder`."""
    item_truth(catalogue).write_parquet(folder / "items.parquet")
    known = min(settings.users, settings.truth_users)
    tastes = make_tastes(catalogue, np.arange(known), settings.seed)
    taste_truth(catalogue, tastes).write_parquet(folder / "tastes.parquet")
    oracle_run(catalogue, tastes).write_parquet(folder / "oracle.parquet")


def item_truth(catalogue: Catalogue) -> pl.DataFrame:
    """What the products are, one row each, by id.

    Columns: item_id, department, leaf, brand, style, accent, feature String; looks List[Float32] (in the
    order of `STYLES`); quality, price, dearness, appeal Float64; on_sale_from, on_sale_until (exclusive)
    Datetime.
    """
    rows = catalogue.leaf
    opened = pl.lit(START).dt.cast_time_unit("us")
    return (
        pl.DataFrame(
            {
                "item_id": catalogue.ids,
                "department": [catalogue.leaves[leaf].department for leaf in rows],
                "leaf": [catalogue.leaves[leaf].name for leaf in rows],
                "brand": [catalogue.brands.names[brand] for brand in catalogue.brand],
                "style": [STYLES[style].name for style in catalogue.style],
                "accent": [STYLES[style].name for style in catalogue.accent],
                "feature": [
                    catalogue.leaves[leaf].features[feature]
                    for leaf, feature in zip(rows, catalogue.feature, strict=True)
                ],
                "looks": pl.Series(catalogue.looks).arr.to_list(),
                "quality": catalogue.quality,
                "price": catalogue.price,
                "dearness": catalogue.dearness,
                "appeal": catalogue.appeal,
                "first_day": catalogue.first_day,
                "end_day": catalogue.end_day,
            },
        )
        .with_columns(
            on_sale_from=opened + pl.duration(days="first_day"),
            on_sale_until=opened + pl.duration(days="end_day"),
        )
        .drop("first_day", "end_day")
        .sort("item_id")
    )


def taste_truth(catalogue: Catalogue, tastes: Tastes) -> pl.DataFrame:
    """What the users like, one row a user and period.

    Columns: user_id String; period Int64; since Datetime UTC; interests List[String] (leaves, strongest
    first); likes List[Float32] (unit vector in the order of `STYLES`); budget, leniency Float64.
    """
    n = len(tastes.users)
    names = pl.Series([leaf.name for leaf in catalogue.leaves], dtype=pl.String)
    starts = [START + timedelta(days=-(-period * DAYS // PERIODS)) for period in range(PERIODS)]
    return pl.DataFrame(
        {
            "user_id": user_ids(np.repeat(tastes.users, PERIODS)),
            "period": np.tile(np.arange(PERIODS), n),
            "since": starts * n,
            "interests": _lists(names.gather(tastes.interests.ravel()), INTERESTS),
            "likes": _lists(pl.Series(tastes.style.ravel()), len(STYLES)),
            "budget": np.repeat(tastes.budget, PERIODS),
            "leniency": np.repeat(tastes.leniency, PERIODS),
        },
        schema_overrides={"since": pl.Datetime("us", "UTC")},
    )


def _lists(flat: pl.Series, length: int) -> pl.Series:
    """Lists of `length` neighbours each."""
    return flat.reshape((-1, length)).arr.to_list()


def oracle(shop: Path, users: Sequence[str], *, k: int = 100, day: int = DAYS - 1) -> pl.DataFrame:
    """The best products of any users of the shop in folder `shop`, as :func:`oracle_run` finds them.

    Raises:
        InputError: `shop` holds no shop.
    """
    settings = read_parameters(shop)
    catalogue = make_catalogue(settings)
    numbers = np.array([int(user.removeprefix("U")) for user in users], np.int64)
    return oracle_run(catalogue, make_tastes(catalogue, numbers, settings.seed), k=k, day=day)
