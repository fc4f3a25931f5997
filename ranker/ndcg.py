"""ndcg@10 of scores in lists, for choices on validation (reports use aisle.eval)."""

import numpy as np
from numpy.typing import NDArray

from aisle.data.ids import Rows
from aisle.ranker.lists import Floats

CUT = 10
DISCOUNTS = 1 / np.log2(np.arange(CUT) + 2)


def gains(
    scores: Floats, labels: NDArray[np.bool_], sizes: Rows, relevant: Rows | None = None
) -> NDArray[np.float64]:
    """ndcg@10 of each list, float64 (lists); ties count against (Järvelin & Kekäläinen 2002, binary gains).

    Args:
        scores: of the pairs, list after list.
        labels: whether each pair is relevant.
        sizes: pairs of each list.
        relevant: items relevant to each list's user, in the list or not; those in the list unless told.
    """
    owner = np.repeat(np.arange(len(sizes)), sizes)
    order = np.lexsort((labels, -scores, owner))
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    places = np.arange(len(scores)) - starts[owner[order]]
    found = labels[order] & (places < CUT)
    sums = np.bincount(owner[order][found], DISCOUNTS[places[found]], minlength=len(sizes))
    wanted = (
        np.bincount(owner, labels, minlength=len(sizes)).astype(np.int64) if relevant is None else relevant
    )
    ideal = np.concatenate([[0], np.cumsum(DISCOUNTS)])[np.minimum(wanted, CUT)]
    found_gains: NDArray[np.float64] = np.divide(sums, ideal, out=np.zeros(len(sizes)), where=ideal > 0)
    return found_gains


def mean_ndcg(scores: Floats, labels: NDArray[np.bool_], sizes: Rows, relevant: Rows | None = None) -> float:
    """Mean of :func:`gains` over the lists."""
    return float(gains(scores, labels, sizes, relevant).mean())
