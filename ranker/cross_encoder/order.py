"""The best of each list in a new order; the others stay where they are."""

import numpy as np

from aisle.data.ids import Rows
from aisle.ranker.lists import Floats


def best_pairs(scores: Floats, owner: Rows, depth: int) -> Rows:
    """Places of the `depth` best pairs of each list, list after list, best first; equal ones by place.

    Args:
        scores: of pairs.
        owner: place of each pair's list, ascending.
        depth: pairs of each list.
    """
    order = np.lexsort((np.arange(len(scores)), -scores, owner))
    starts = np.searchsorted(owner, np.arange(owner[-1] + 1 if len(owner) else 0))
    return order[np.arange(len(order)) - starts[owner[order]] < depth]


def reordered(first: Floats, owner: Rows, pairs: Rows, scores: Floats) -> Floats:
    """First scores, dealt out anew among `pairs` of each list so that they stand in the order of `scores`.

    >>> first = np.array([3.0, 2.0, 1.0], np.float32)
    >>> reordered(first, np.zeros(3, np.int64), np.array([0, 1]), np.array([5.0, 6.0], np.float32)).tolist()
    [2.0, 3.0, 1.0]

    Args:
        first: of all pairs.
        owner: place of each pair's list, ascending.
        pairs: the best pairs of each list (:func:`best_pairs`).
        scores: new ones of these.
    """
    found = first.copy()
    new = np.lexsort((np.arange(len(pairs)), -scores, owner[pairs]))
    found[pairs[new]] = first[pairs]
    return found
