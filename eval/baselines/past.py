"""What a baseline learns from, and the interface of all of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from aisle.data.history import Histories
from aisle.data.ids import Rows

Scores = NDArray[np.float32]
"""Scores of all items for some users, float32 (n_rows, n_items). Exactly 0 says: nothing known."""


@dataclass(frozen=True)
class Past:
    """Everything that is known when a part is predicted.

    Attributes:
        histories: events of all users, oldest first.
        texts: one text per item row.
        timed: whether `histories.times` are microseconds, not positions.
    """

    histories: Histories
    texts: Sequence[str]
    timed: bool

    @property
    def n_items(self) -> int:
        """Items of the catalogue."""
        return len(self.texts)

    @cached_property
    def popularity(self) -> Rows:
        """Events per item, int64 (n_items)."""
        return np.bincount(self.histories.items, minlength=self.n_items)

    @cached_property
    def counts(self) -> sparse.csr_array:
        """Events per user and item, float32 (n_users, n_items)."""
        return self.weighted(1.0)

    def weighted(self, decay: float) -> sparse.csr_array:
        """As `counts`, where an event counts `decay ** events that the user had after it`."""
        lengths, offsets = self.histories.lengths, self.histories.offsets
        steps_back = np.repeat(offsets[1:], lengths) - np.arange(len(self.histories.items)) - 1
        weights = np.power(np.float32(decay), steps_back, dtype=np.float32)
        matrix = sparse.csr_array(
            (weights, self.histories.items, offsets), shape=(len(lengths), self.n_items), copy=True
        )
        matrix.sum_duplicates()
        return matrix


class Scorer(Protocol):
    """A baseline: a dataclass of its settings, which learns from a :class:`Past` and then scores items."""

    def fit(self, past: Past, *, seed: int, threads: int) -> Self:
        """Learn from `past` (threads: 0 takes all cores); returns itself."""
        ...

    def scores(self, user_rows: Rows) -> Scores:
        """Scores of all items for `user_rows`; rows of zeros for users about whom nothing is known."""
        ...
