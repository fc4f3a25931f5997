"""Pairs by the price of the item."""

from itertools import pairwise

import numpy as np
import polars as pl

from aisle.eval.slices.known import Known
from aisle.eval.slices.parts import Named, banded, of_pairs
from aisle.eval.truth import Truth

BANDS = 4


def by_price(truth: Truth, known: Known) -> Named:
    """Pairs by price, in bands that hold equally many items of the catalogue each."""
    items = known.items("price")
    if items is None:
        return
    prices = items["price"].drop_nulls()
    if prices.n_unique() < 2:
        return
    steps = np.arange(1, BANDS) / BANDS
    ends = np.unique(np.quantile(prices.to_numpy(), steps, method="inverted_cdf")).tolist()
    names = [f"price: up to {ends[0]:,.2f}"]
    names += [f"price: {low:,.2f} to {high:,.2f}" for low, high in pairwise(ends)]
    names += [f"price: above {ends[-1]:,.2f}"]
    bounds = dict(zip(names, [*ends, np.inf], strict=True))
    found = truth.frame.join(items, on="item_id", how="left", maintain_order="left")["price"]
    values = found.cast(pl.Float64).fill_null(np.nan).to_numpy()
    yield from of_pairs(truth, banded(values, bounds, rest="price: unknown"))
