"""Pairs by what reviewers thought of the item."""

from collections.abc import Mapping

import numpy as np
import polars as pl

from aisle.eval.slices.known import Known
from aisle.eval.slices.parts import Named, banded, of_pairs
from aisle.eval.truth import Truth

FEWEST = 3
"""Ratings below which their mean says little."""

POLARITY = {
    "sentiment: mostly negative": 0.4,
    "sentiment: mixed": 0.6,
    "sentiment: mostly positive": np.inf,
}
"""Largest mean polarity, 0 to 1, of each part."""

STARS = {
    "sentiment: 3 stars at most": 3.0,
    "sentiment: more than 3 to 4 stars": 4.0,
    "sentiment: more than 4 to 4.5 stars": 4.5,
    "sentiment: more than 4.5 stars": np.inf,
}
"""Largest mean rating of each part."""


def by_sentiment(truth: Truth, known: Known) -> Named:
    """Pairs by the mean polarity of the item's reviews where the catalogue has it, else by its mean stars.

    The polarity is that of a classifier of reviews (column `sentiment` of the catalogue, 0 to 1). Stars are
    those of past events alone.
    """
    items, bounds, rest = known.items("sentiment"), POLARITY, "sentiment: no reviews"
    if items is None:
        items, bounds, rest = _stars(known), STARS, f"sentiment: fewer than {FEWEST} ratings"
    if items is not None:
        yield from _banded(truth, items, bounds, rest)


def _stars(known: Known) -> pl.DataFrame | None:
    """Mean past rating of the items that have enough of them; None where there are none."""
    if known.events is None:
        return None
    rated = known.events.drop_nulls(["item_id", "rating"]).group_by("item_id")
    means = rated.agg(pl.len(), stars=pl.col("rating").mean()).filter(pl.col("len") >= FEWEST)
    return means.select("item_id", "stars") if len(means) else None


def _banded(truth: Truth, items: pl.DataFrame, bounds: Mapping[str, float], rest: str) -> Named:
    found = truth.frame.join(items, on="item_id", how="left", maintain_order="left")[items.columns[1]]
    values = found.cast(pl.Float64).fill_null(np.nan).to_numpy()
    yield from of_pairs(truth, banded(values, bounds, rest))
