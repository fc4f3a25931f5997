"""When users come to the shop and what they come for."""

from dataclasses import dataclass
from datetime import timedelta
from functools import cache

import numpy as np
from numpy.typing import NDArray

from aisle.data.shop.catalogue import Catalogue, Rows
from aisle.data.shop.draws import Floats, Keys, child, normal, root, uniform
from aisle.data.shop.settings import DAYS, PERIODS, START, ShopSettings
from aisle.data.shop.tastes import INTEREST_SHARE, Tastes

EVENTS_PER_VISIT = 3.7
"""Mean number of events that one visit leaves, reviews included."""

SEASON = 1.2
"""Amplitude of the log demand of a leaf that has a season."""

EXPLORE = 0.08
"""Share of visits to a leaf outside the user's interests."""

SEARCHES = 0.4
"""Share of visits that begin with a search."""

FOLLOW = 0.3
"""Share of visits, after the first, that go on to the companion of the last leaf."""


@dataclass(frozen=True, slots=True)
class Visits:
    """Visits of a block of users; those of one user are neighbours, in order.

    Attributes:
        keys: for what is drawn about a visit, uint64 (visits).
        user: row in the block's :class:`Tastes`, int64 (visits).
        day: days since the shop opened, int64 (visits).
        second: second of the day, before 23:31, int64 (visits).
        leaf: leaf category looked for, int64 (visits).
        searching: whether the visit begins with a search, bool (visits).
    """

    keys: Keys
    user: Rows
    day: Rows
    second: Rows
    leaf: Rows
    searching: NDArray[np.bool_]

    @property
    def period(self) -> Rows:
        """Period of taste, int64 (visits)."""
        return period_of(self.day)


def period_of(day: Rows) -> Rows:
    """Period of taste that a day falls in."""
    period: Rows = day * PERIODS // DAYS
    return period


def make_visits(catalogue: Catalogue, tastes: Tastes, settings: ShopSettings) -> Visits:
    """All visits of the users in `tastes`."""
    key = child(root(settings.seed, "visits"), tastes.users)
    mean = settings.events_per_user / EVENTS_PER_VISIT
    spread = np.exp(0.5 * normal(child(key, 0)) - 0.5**2 / 2)
    counts = np.clip(np.rint(mean * spread), 1, np.ceil(5 * mean)).astype(np.int64)
    number = np.arange(counts.max())
    there = number < counts[:, None]
    keys = child(child(key, 1)[:, None], number)
    day = _days(child(key, 2), keys, there)
    leaf = _leaves(catalogue, tastes, keys, day)
    minute = 390 + 510 * (uniform(child(keys, 1)) + uniform(child(keys, 2)))
    user, _ = np.nonzero(there)
    return Visits(
        keys=keys[there],
        user=user,
        day=day[there],
        second=(60 * minute[there]).astype(np.int64),
        leaf=leaf[there],
        searching=uniform(child(keys[there], 7)) < SEARCHES,
    )


def _days(user_keys: Keys, keys: Keys, there: NDArray[np.bool_]) -> Rows:
    """Days of the visits, in order, within the time that the user is a customer; (users, visits)."""
    first = np.maximum(-200 + (0.8 * DAYS + 200) * uniform(child(user_keys, 0)), 0)
    left = first + 60 + (DAYS - first - 60) * uniform(child(user_keys, 1))
    last = np.where(uniform(child(user_keys, 2)) < 0.6, DAYS, left)
    curve = np.concatenate([[0.0], np.cumsum(daily_demand())])
    curve /= curve[-1]
    begin, end = (np.interp(edge, np.arange(DAYS + 1), curve)[:, None] for edge in (first, last))
    share = np.sort(np.where(there, uniform(child(keys, 0)), 1.0), axis=1)
    days: Rows = np.interp(begin + (end - begin) * share, curve, np.arange(DAYS + 1)).astype(np.int64)
    return np.minimum(days, DAYS - 1)


def _leaves(catalogue: Catalogue, tastes: Tastes, keys: Keys, day: Rows) -> Rows:
    """Leaf of each visit: an interest in season, anything, or where the last visit led; (users, visits)."""
    edges = np.cumsum(catalogue.demand)[:-1]
    anything = np.searchsorted(edges, uniform(child(keys, 3)))
    interests = tastes.interests[np.arange(len(day))[:, None], period_of(day)]
    weight = INTEREST_SHARE * seasons(catalogue)[interests, day[:, :, None]]
    reach = np.cumsum(weight, axis=2)
    slot = (reach < uniform(child(keys, 4))[:, :, None] * reach[:, :, -1:]).sum(axis=2)
    leaf = np.take_along_axis(interests, slot[:, :, None], axis=2)[:, :, 0]
    leaf = np.where(uniform(child(keys, 5)) < EXPLORE, anything, leaf)
    follows = uniform(child(keys, 6)) < FOLLOW
    for number in range(1, leaf.shape[1]):
        onward = catalogue.companion[leaf[:, number - 1]]
        leaf[:, number] = np.where(follows[:, number], onward, leaf[:, number])
    return leaf


def seasons(catalogue: Catalogue) -> Floats:
    """Relative demand of each leaf on each day, float64 (leaves, days); 1 where there is no season."""
    year_day = np.array([(START + timedelta(days=day)).timetuple().tm_yday for day in range(DAYS)])
    peak = np.array(
        [np.nan if leaf.peak is None else 365 * (leaf.peak - 0.5) / 12 for leaf in catalogue.leaves]
    )
    wave = np.cos(2 * np.pi * (year_day - peak[:, None]) / 365)
    demand: Floats = np.exp(SEASON * np.nan_to_num(wave))
    return demand


@cache
def daily_demand() -> Floats:
    """Relative number of visits on each day, float64 (days): more at weekends and before Christmas."""
    dates = [START + timedelta(days=day) for day in range(DAYS)]
    weekend = np.array([date.weekday() >= 5 for date in dates])
    christmas = np.array([(11, 20) <= (date.month, date.day) <= (12, 23) for date in dates])
    demand: Floats = (1 + 0.2 * weekend) * (1 + 0.7 * christmas)
    return demand
