"""Users whose activity no person could show: crawlers, shop systems, shared accounts."""

import numpy as np
from numpy.typing import NDArray

from aisle.data.schema import DAY
from aisle.data.settings import CleanSettings


def machine_events(
    users: NDArray[np.uint32], times: NDArray[np.int64], purchases: NDArray[np.bool_], settings: CleanSettings
) -> NDArray[np.bool_]:
    """Whether each event belongs to a user who is active like a machine, bool (n_events).

    The rule and its numbers are those of Wang et al., Billion-scale Commodity Embedding for E-commerce
    Recommendation in Alibaba (KDD 2018), section 2.2: users who bought more than 1,000 items or clicked more
    than 3,500 times in less than three months. Clicks are here events of any kind.

    Args:
        users: user codes, uint32 (n_events), sorted.
        times: microseconds since 1970, int64 (n_events), sorted within each user.
        purchases: whether each event is a purchase, bool (n_events).
        settings: the limits.
    """
    window = settings.machine_days * DAY
    machines = np.union1d(
        bursts(users, times, settings.machine_events, window),
        bursts(users[purchases], times[purchases], settings.machine_purchases, window),
    )
    return np.isin(users, machines)


def bursts(
    users: NDArray[np.uint32], times: NDArray[np.int64], limit: int, window: int
) -> NDArray[np.uint32]:
    """Users with more than `limit` events within any span shorter than `window`; none if `limit` is 0.

    >>> bursts(np.array([7, 7, 7, 8, 8, 8], np.uint32), np.array([0, 5, 9, 0, 5, 10]), limit=2, window=10)
    array([7], dtype=uint32)
    """
    if limit == 0 or len(users) <= limit:
        return np.empty(0, np.uint32)
    close = (users[limit:] == users[:-limit]) & (times[limit:] - times[:-limit] < window)
    return np.unique(users[limit:][close])
