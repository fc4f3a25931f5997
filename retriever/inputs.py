"""What a user tower is told of an event besides its item: stars, and times as codes of few values.

Code 0 says "not known", in all of them. Times are told as the logarithm of their length, a code for each
doubling (as in Zhai et al. 2024, "Actions Speak Louder than Words", section 3.2, whose relative attention
bias counts time in such buckets): a minute more says much after one minute and nothing after a year.
"""

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from aisle.data.history import Histories
from aisle.data.ids import Rows
from aisle.retriever.settings import Input

RATING_CODES = 12
"""Not known, and 0 to 5 stars in halves."""

GAP_CODES = 32
"""Not known, under a second, and doublings of a second up to 2**30, 34 years."""

SECOND = 10**6
"""A second in the unit of `Histories.times`."""

Codes = NDArray[np.int8]


def told(histories: Histories, inputs: Collection[Input], moment: int | None = None) -> dict[str, Codes]:
    """Codes of each event of `histories`: `ratings`, `gaps`, and `waits` for the input `recency`.

    Args:
        histories: of all users; those without any rating give no `ratings`.
        inputs: which of them; gaps and recency need times of events, not mere positions.
        moment: microseconds since 1970 at which the next event is predicted; None: when the last event
            of `histories` happened.
    """
    codes: dict[str, Codes] = {}
    if "ratings" in inputs and histories.ratings is not None:
        codes["ratings"] = rating_codes(histories.ratings)
    if "gaps" not in inputs and "recency" not in inputs:
        return codes
    between = gap_codes(np.diff(histories.times))
    filled = histories.lengths > 0
    if "gaps" in inputs:
        gaps = np.zeros(len(histories.times), np.int8)
        gaps[1:] = between
        gaps[histories.offsets[:-1][filled]] = 0
        codes["gaps"] = gaps
    if "recency" in inputs:
        last = histories.offsets[1:][filled] - 1
        now = histories.times.max(initial=0) if moment is None else moment
        waits = np.zeros(len(histories.times), np.int8)
        waits[:-1] = between
        waits[last] = gap_codes(now - histories.times[last])
        codes["waits"] = waits
    return codes


def rating_codes(stars: NDArray[np.float32]) -> Codes:
    """1 + twice the stars, rounded; 0 for NaN."""
    return np.where(np.isnan(stars), 0, 1 + np.rint(2 * np.nan_to_num(stars))).astype(np.int8)


def gap_codes(microseconds: Rows) -> Codes:
    """1 under a second, 2 under two seconds, 3 under four; a negative gap counts as none.

    >>> gap_codes(SECOND * np.array([0, 1, 3, 60, 86_400]))
    array([ 1,  2,  3,  7, 18], dtype=int8)
    """
    seconds = np.maximum(microseconds // SECOND, 0)
    return (1 + np.minimum(np.frexp(seconds.astype(np.float64))[1], GAP_CODES - 2)).astype(np.int8)
