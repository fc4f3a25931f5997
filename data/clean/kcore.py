"""The k-core: users and items that have enough events with each other."""

import numpy as np
from numpy.typing import NDArray

KEPT, USER_TOO_RARE, ITEM_TOO_RARE = 0, 1, 2


def k_core(
    users: NDArray[np.uint32], items: NDArray[np.uint32], min_user_events: int, min_item_events: int
) -> NDArray[np.uint8]:
    """Drops users and items with too few events until all that are left have enough (Seidman 1983).

    The largest such set is unique, so the order of dropping does not matter to what is kept; an event that
    loses its user and its item in the same round counts as lost with its user.

    >>> k_core(np.array([0, 0, 1, 1, 2]), np.array([0, 1, 0, 1, 1]), 2, 2)
    array([0, 0, 0, 0, 1], dtype=uint8)

    Args:
        users: user codes, integers (n_events).
        items: item codes, integers (n_events).
        min_user_events: fewest events of a user that stays.
        min_item_events: fewest events of an item that stays.

    Returns:
        KEPT, USER_TOO_RARE or ITEM_TOO_RARE for each event, uint8 (n_events).
    """
    fate = np.zeros(len(users), np.uint8)
    left = np.arange(len(users))
    while len(left):
        user, item = users[left], items[left]
        rare_user = np.bincount(user)[user] < min_user_events
        rare_item = np.bincount(item)[item] < min_item_events
        lost = rare_user | rare_item
        if not lost.any():
            break
        fate[left[rare_item]] = ITEM_TOO_RARE
        fate[left[rare_user]] = USER_TOO_RARE
        left = left[~lost]
    return fate
