"""What users look at, put in the cart and buy on a visit."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from aisle.data.shop.catalogue import Catalogue, Rows
from aisle.data.shop.draws import Floats, child, uniform
from aisle.data.shop.tastes import Tastes, utility
from aisle.data.shop.visits import Visits

GLANCES = 24
"""Products that a user comes across on a visit."""

MOST_VIEWS = 4
"""Products that a user opens on a visit, at most."""

FOCUS = 2.5
"""Utility that the wanted feature gains on a visit that begins with a search."""

BUY = 0.85
"""Chance that what is in the cart is bought."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What came of the visits.

    Attributes:
        items: product rows, best first, int64 (visits, MOST_VIEWS).
        viewed: whether the product was opened, bool (visits, MOST_VIEWS): the first always is, none twice.
        carted: whether the first product was put in the cart, bool (visits).
        bought: whether it was bought; nobody buys a product twice, bool (visits).
        liking: utility of the first product to the user, float64 (visits).
    """

    items: Rows
    viewed: NDArray[np.bool_]
    carted: NDArray[np.bool_]
    bought: NDArray[np.bool_]
    liking: Floats


def make_choices(catalogue: Catalogue, tastes: Tastes, visits: Visits) -> Choices:
    """Choose among products of the visit's leaf that are on sale that day.

    A user comes across `GLANCES` of them, drawn by appeal, and ranks them by utility and Gumbel noise: a
    multinomial logit choice (McFadden 1974) from a sampled choice set.
    """
    glance_keys = child(child(visits.keys, 10)[:, None], np.arange(GLANCES))
    items = draw_items(catalogue, visits.leaf[:, None], uniform(glance_keys))
    liking = _utilities(catalogue, tastes, visits, items)
    score = liking - np.log(-np.log(uniform(child(glance_keys, 0))))
    day = visits.day[:, None]
    score[(catalogue.first_day[items] > day) | (catalogue.end_day[items] <= day)] = -np.inf
    nothing = np.isneginf(score).all(axis=1)
    items[nothing, 0], score[nothing, 0] = catalogue.offsets[visits.leaf[nothing]], 0.0

    order = np.argsort(-score, axis=1, kind="stable")[:, :MOST_VIEWS]
    items = np.take_along_axis(items, order, axis=1)
    score = np.take_along_axis(score, order, axis=1)
    best_liking = np.take_along_axis(liking, order[:, :1], axis=1)[:, 0]
    wish = uniform(child(visits.keys, 11))[:, None]
    viewed = (wish < np.array([1.0, 0.55, 0.3, 0.12])) & ~np.isneginf(score)
    for later in range(1, MOST_VIEWS):
        viewed[:, later] &= (items[:, later : later + 1] != items[:, :later]).all(axis=1)

    carted = uniform(child(visits.keys, 12)) < expit(0.35 * best_liking + 0.6)
    bought = carted & (uniform(child(visits.keys, 13)) < BUY)
    owned = _owned(visits.user, items[:, 0], bought, len(catalogue))
    return Choices(items, viewed, carted & ~owned, bought & ~owned, best_liking)


def draw_items(catalogue: Catalogue, leaf: Rows, draw: Floats) -> Rows:
    """Products of `leaf`, drawn by appeal, one for each `draw` in (0, 1); shapes broadcast."""
    reach = np.cumsum(catalogue.appeal)
    before = np.concatenate([[0.0], reach])[catalogue.offsets]
    span = before[leaf] + draw * (before[leaf + 1] - before[leaf])
    found: Rows = np.clip(
        np.searchsorted(reach, span), catalogue.offsets[leaf], catalogue.offsets[leaf + 1] - 1
    )
    return found


def _utilities(catalogue: Catalogue, tastes: Tastes, visits: Visits, items: Rows) -> Floats:
    """Utility of `items` (visits, glances) to the users who see them, float64 of that shape."""
    user = visits.user[:, None]
    style = tastes.style[visits.user, visits.period]
    wanted = catalogue.feature[items] == tastes.wanted(user, visits.leaf[:, None])
    focus: Floats = FOCUS * (wanted & visits.searching[:, None])
    return focus + utility(
        match=np.einsum("vs,vgs->vg", style, catalogue.looks[items]),
        wanted=wanted,
        loyal=tastes.loyal(user, catalogue.brand[items]),
        gap=catalogue.dearness[items] - tastes.budget[user],
        quality=catalogue.quality[items],
    )


def _owned(user: Rows, item: Rows, bought: NDArray[np.bool_], n_items: int) -> NDArray[np.bool_]:
    """Whether the user had bought the item on an earlier visit."""
    pair = user * n_items + item
    at = np.nonzero(bought)[0]
    _, group = np.unique(pair, return_inverse=True)
    first = np.full(group.max(initial=-1) + 1, len(pair))
    np.minimum.at(first, group[at], at)
    return first[group] < np.arange(len(pair))
