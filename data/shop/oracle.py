"""The best products for each user by the planted taste."""

import numpy as np
import polars as pl

from aisle.data.shop.catalogue import Catalogue, Rows, Vectors
from aisle.data.shop.draws import Floats
from aisle.data.shop.log import user_ids
from aisle.data.shop.settings import DAYS
from aisle.data.shop.tastes import INTEREST_SHARE, INTERESTS, Tastes, utility
from aisle.data.shop.visits import EXPLORE, period_of, seasons

RUN = pl.Schema({"user_id": pl.String(), "rank": pl.Int64(), "item_id": pl.String(), "score": pl.Float64()})
"""Columns of a run."""

BLOCK = 2_000_000
"""User-product pairs scored at a time."""


def oracle_run(catalogue: Catalogue, tastes: Tastes, *, k: int = 100, day: int = DAYS - 1) -> pl.DataFrame:
    """The `k` products on sale on `day` that each user is likeliest to want by their taste of that day.

    The score is log P(leaf) + log P(product | leaf): the user's interests in season, then a logit choice by
    appeal and utility. It knows neither what the user owns nor what they looked at last, so that it is not
    quite an upper bound for a model that does.

    Returns:
        user_id String, rank Int64 (from 1), item_id String, score Float64; best first.
    """
    on_sale = np.nonzero((catalogue.first_day <= day) & (day < catalogue.end_day))[0]
    k, block = min(k, len(on_sale)), max(1, BLOCK // len(on_sale))
    season = seasons(catalogue)[:, day]
    names, ids = user_ids(tastes.users), catalogue.ids
    parts = [RUN.to_frame()]
    for start in range(0, len(tastes.users), block):
        users = np.arange(start, min(start + block, len(tastes.users)))
        score = _scores(catalogue, tastes, users, on_sale, season, int(period_of(np.array(day))))
        some = np.sort(np.argpartition(-score, k - 1, axis=1)[:, :k], axis=1)
        order = np.argsort(-np.take_along_axis(score, some, axis=1), axis=1, kind="stable")
        best = np.take_along_axis(some, order, axis=1)
        parts.append(
            pl.DataFrame(
                {
                    "user_id": names.gather(np.repeat(users, k)),
                    "rank": np.tile(np.arange(1, k + 1), len(users)),
                    "item_id": ids.gather(on_sale[best.ravel()]),
                    "score": np.take_along_axis(score, best, axis=1).ravel().astype(np.float64),
                }
            )
        )
    return pl.concat(parts)


def _scores(
    catalogue: Catalogue, tastes: Tastes, users: Rows, items: Rows, season: Floats, period: int
) -> Vectors:
    """log P(product) of `items` for `users`, float32 (users, items)."""
    rows, leaf = users[:, None], catalogue.leaf[items]
    every_leaf, every_brand = np.arange(len(catalogue.leaves)), np.arange(len(catalogue.brands.names))
    wants = utility(
        match=tastes.style[users, period] @ catalogue.looks[items].T,
        wanted=tastes.wanted(rows, every_leaf)[:, leaf] == catalogue.feature[items],
        loyal=tastes.loyal(rows, every_brand)[:, catalogue.brand[items]],
        gap=(catalogue.dearness[items] - tastes.budget[rows]).astype(np.float32),
        quality=catalogue.quality[items].astype(np.float32),
    )
    wants = (wants + np.log(catalogue.appeal[items])).astype(np.float32)
    starts = np.searchsorted(leaf, every_leaf)
    within = np.log(np.add.reduceat(np.exp(wants), starts, axis=1))[:, leaf]
    interest = np.zeros((len(users), len(every_leaf)))
    for slot in range(INTERESTS):
        chosen = tastes.interests[users, period, slot]
        interest[np.arange(len(users)), chosen] += INTEREST_SHARE[slot] * season[chosen]
    interest /= interest.sum(axis=1, keepdims=True)
    interest = (1 - EXPLORE) * interest + EXPLORE * catalogue.demand
    scores: Vectors = (wants - within + np.log(interest)[:, leaf]).astype(np.float32)
    return scores
