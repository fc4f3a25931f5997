"""What users like, how it drifts, and how much they want a product."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aisle.data.shop.catalogue import Catalogue, Rows, Vectors
from aisle.data.shop.departments import FEATURES
from aisle.data.shop.draws import Floats, Keys, below, child, normal, root, uniform
from aisle.data.shop.settings import PERIODS
from aisle.data.shop.styles import STYLES

INTERESTS = 5
"""Leaf categories that a user is interested in at a time."""

INTEREST_SHARE = np.array([0.45, 0.25, 0.15, 0.1, 0.05])
"""How a user's visits fall on their interests, apart from seasons."""

INTEREST_DRIFT = 0.12
"""Chance that an interest gives way to another from one period to the next."""

STYLE_DRIFT = 0.15
"""Standard deviation of each step of a user's walk among styles."""

# weights of utility(), in units of the standard Gumbel noise of one choice
STYLE, FEATURE, LOYALTY, PRICE, QUALITY = 4.5, 1.4, 1.6, 0.3, 0.45

LOYAL_SHARE = 0.05
"""Chance that a user is loyal to a brand."""


@dataclass(frozen=True, slots=True)
class Tastes:
    """Tastes of a block of users.

    Attributes:
        users: user numbers, int64 (users).
        style: liked styles as unit vectors, float32 (users, periods, styles).
        interests: leaf rows, int64 (users, periods, interests).
        budget: dearness that suits the user, float64 (users).
        leniency: how kindly the user rates, float64 (users).
        brand_keys: decide which brands a user is loyal to, uint64 (users).
        feature_keys: decide which feature a user wants in a leaf, uint64 (users).
    """

    users: Rows
    style: Vectors
    interests: Rows
    budget: Floats
    leniency: Floats
    brand_keys: Keys
    feature_keys: Keys

    def wanted(self, rows: Rows, leaf: Rows) -> Rows:
        """Feature that the users in `rows` want of products of `leaf`, broadcast, int64."""
        return below(child(self.feature_keys[rows], leaf), FEATURES)

    def loyal(self, rows: Rows, brand: Rows) -> NDArray[np.bool_]:
        """Whether the users in `rows` are loyal to `brand`, broadcast."""
        loyal: NDArray[np.bool_] = uniform(child(self.brand_keys[rows], brand)) < LOYAL_SHARE
        return loyal


def make_tastes(catalogue: Catalogue, users: Rows, seed: int) -> Tastes:
    """Tastes of the users with numbers `users`; each depends on the seed and their number alone."""
    key = child(root(seed, "taste"), users)
    return Tastes(
        users=users,
        style=_styles(child(key, 0)),
        interests=_interests(catalogue, child(key, 1)),
        budget=0.8 * normal(child(key, 2)),
        leniency=normal(child(key, 3)),
        brand_keys=child(key, 4),
        feature_keys=child(key, 5),
    )


def _styles(keys: Keys) -> Vectors:
    """A walk on the unit sphere that starts near one style."""
    n, rows = len(keys), np.arange(len(keys))
    at = 0.3 * normal(child(child(keys, 0)[:, None], np.arange(len(STYLES))))
    at[rows, below(child(keys, 1), len(STYLES))] += 1.3
    at[rows, below(child(keys, 2), len(STYLES))] += 0.5
    walk = np.empty((n, PERIODS, len(STYLES)), np.float32)
    for period in range(PERIODS):
        at /= np.linalg.norm(at, axis=1, keepdims=True)
        walk[:, period] = at
        at += STYLE_DRIFT * normal(child(child(keys, 3 + period)[:, None], np.arange(len(STYLES))))
    return walk


def _interests(catalogue: Catalogue, keys: Keys) -> Rows:
    """Leaves of interest: mostly in two favourite departments, replaced one by one as time goes by."""
    edges = np.cumsum(catalogue.demand)[:-1]
    starts = np.searchsorted(catalogue.department, np.arange(catalogue.department[-1] + 2))
    slots = np.arange(INTERESTS)
    home = catalogue.department[np.searchsorted(edges, uniform(child(child(keys, 0)[:, None], np.arange(2))))]
    now = np.zeros((len(keys), INTERESTS), np.int64)
    found = np.empty((len(keys), PERIODS, INTERESTS), np.int64)
    for period in range(PERIODS):
        key = child(child(keys, 1 + period)[:, None], slots)
        at_home = home[:, slots % 2]
        near = starts[at_home] + below(child(key, 0), starts[at_home + 1] - starts[at_home])
        anywhere = np.searchsorted(edges, uniform(child(key, 1)))
        fresh = np.where(uniform(child(key, 2)) < 0.7, near, anywhere)
        onward = np.where(uniform(child(key, 3)) < 0.5, catalogue.companion[now], fresh)
        moves = uniform(child(key, 4)) < INTEREST_DRIFT
        now = np.where(moves, onward, now) if period else fresh
        found[:, period] = now
    return found


def utility(
    match: Vectors,
    wanted: NDArray[np.bool_],
    loyal: NDArray[np.bool_],
    gap: Floats,
    quality: Floats,
) -> Floats:
    """How much users want products, apart from the products' appeal to everybody; shapes broadcast.

    Args:
        match: cosine between the user's style and the product's looks.
        wanted: whether the product has the feature that the user wants.
        loyal: whether the user is loyal to its brand.
        gap: its dearness less the user's budget.
        quality: its quality.
    """
    wants: Floats = STYLE * match + FEATURE * wanted + LOYALTY * loyal - PRICE * gap**2 + QUALITY * quality
    return wants
