"""Item-to-item co-occurrence: what users had soon after the items of a history."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from aisle.data.history import Histories
from aisle.data.schema import DAY
from aisle.retriever.neighbours import Neighbours, largest

WINDOW = 20
"""Events of one user that are at most so many steps apart make a pair."""

NEIGHBOURS = 500
"""Items with the largest similarities that each item keeps."""


@dataclass(frozen=True)
class CoOccurrenceSettings:
    """What makes two items similar, and which events of a history count.

    Attributes:
        gap: a pair counts `gap ** (steps apart - 1)`.
        back: weight of a pair in the order opposite to the one in which it was seen.
        source: exponent of the events of the item in the history, by which the similarity is divided.
        target: exponent of the events of the item that is scored.
        shrink: added to the divisor: damps pairs that few users support.
        decay: an item of the history counts `decay ** events that the user had after it`.
        half_life: days after which a pair counts half; None counts all alike.
    """

    gap: float = 0.8
    back: float = 0.5
    source: float = 0.5
    target: float = 0.3
    shrink: float = 10.0
    decay: float = 0.65
    half_life: float | None = None


def axes(*, timed: bool) -> dict[str, tuple[Any, ...]]:
    """The grid of :class:`CoOccurrenceSettings`, first guesses first; `timed`: times of events are known."""
    grid: dict[str, tuple[Any, ...]] = {
        "shrink": (10.0, 1.0, 5.0, 20.0, 50.0),
        "target": (0.3, 0.15, 0.5, 0.0),
        "source": (0.5, 0.3, 0.7, 0.15),
        "decay": (0.65, 0.5, 0.8, 0.9, 1.0),
        "back": (0.5, 0.3, 1.0, 0.1),
        "gap": (0.8, 0.6, 0.9, 1.0),
    }
    return grid | ({"half_life": (None, 365.0, 90.0)} if timed else {})


class Pairs:
    """Counts of item pairs in histories, kept for the settings that they were asked for last."""

    def __init__(self, histories: Histories, items: int) -> None:
        self.histories = histories
        self.items = items
        self.events = np.bincount(histories.items, minlength=items).astype(np.float32)
        self._asked: tuple[float, float, float | None] | None = None
        self._counts = _empty(items)

    def counts(self, gap: float, back: float, half_life: float | None) -> sparse.csr_array:
        """Weighted number of times that the column's item followed the row's, float32 (items, items)."""
        if self._asked != (gap, back, half_life):
            self._counts = self._count(gap, back, half_life)
            self._asked = (gap, back, half_life)
        return self._counts

    def _count(self, gap: float, back: float, half_life: float | None) -> sparse.csr_array:
        found = self.histories
        owner = np.repeat(np.arange(len(found)), found.lengths)
        age = (found.times - (found.times.max() if len(found.times) else 0)) / DAY
        fresh = np.ones(len(age)) if half_life is None else np.exp2(age / half_life)
        shape = (self.items, self.items)
        total = _empty(self.items)
        for steps in range(1, min(WINDOW, len(owner) - 1) + 1):
            first = np.flatnonzero(
                (owner[:-steps] == owner[steps:]) & (found.items[:-steps] != found.items[steps:])
            )
            weights = (gap ** (steps - 1) * fresh[first + steps]).astype(np.float32)
            ends = (found.items[first], found.items[first + steps])
            followed = sparse.csr_array((weights, ends), shape)
            total = total + followed + np.float32(back) * followed.T.tocsr()
        return total


def co_occurrence(pairs: Pairs, settings: CoOccurrenceSettings) -> Neighbours:
    """What users had soon after the items of a history, as a source:

        similarity(i, j) = pairs(i, j) / (events(i) ** source * events(j) ** target + shrink),

    where pairs counts how often j followed i within `WINDOW` steps, later ones and the opposite order less.
    It joins item-to-item collaborative filtering (Sarwar et al. 2001, "Item-based collaborative filtering
    recommendation algorithms") with the order and distance of sequential rules (Ludewig & Jannach 2018,
    "Evaluation of session-based recommendation algorithms", section 3.1). Each item keeps its `NEIGHBOURS`
    largest similarities.
    """
    counts = pairs.counts(settings.gap, settings.back, settings.half_life)
    rows = np.repeat(np.arange(pairs.items), np.diff(counts.indptr))
    divisor = pairs.events[rows] ** settings.source * pairs.events[counts.indices] ** settings.target
    values = (counts.data / (divisor + settings.shrink)).astype(np.float32)
    similar = sparse.csr_array((values, counts.indices, counts.indptr), counts.shape)
    return Neighbours(largest(similar, NEIGHBOURS), settings.decay)


def _empty(items: int) -> sparse.csr_array:
    nothing = (np.empty(0, np.float32), (np.empty(0, np.int64), np.empty(0, np.int64)))
    return sparse.csr_array(nothing, (items, items))
