"""What a run returned to each user, best first, as flat arrays."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from aisle.data.ids import Rows
from aisle.data.ragged import Ragged, offsets_of_sizes


@dataclass(frozen=True, eq=False)
class Lists(Ragged):
    """The list of user `u` is `items[offsets[u]:offsets[u + 1]]`, from rank 1 down.

    Attributes:
        offsets: int64 (n_users + 1), rising from 0.
        items: codes of the items, int64 (n_listed).
    """

    offsets: Rows
    items: Rows

    @cached_property
    def users(self) -> Rows:
        """User of every listed item, int64 (n_listed)."""
        return self.owners()

    @cached_property
    def ranks(self) -> Rows:
        """Rank of every listed item, from 1, int64 (n_listed)."""
        return np.arange(1, len(self.items) + 1) - np.repeat(self.offsets[:-1], self.sizes)

    def shown(self, k: int) -> Rows:
        """Items in the first k of each user, int64 (n_users)."""
        return np.minimum(self.sizes, k)

    def sums(self, values: NDArray[np.float64], k: int) -> NDArray[np.float64]:
        """Sum of `values` (n_listed) over the first k of each user, float64 (n_users)."""
        sums = np.zeros(len(self))
        shown = self.shown(k)
        some = np.flatnonzero(shown)
        if len(some):
            starts = self.offsets[some]
            bounds = np.column_stack([starts, starts + shown[some]]).ravel()
            if bounds[-1] == len(values):
                bounds = bounds[:-1]
            sums[some] = np.add.reduceat(values, bounds)[::2]
        return sums

    def means(self, values: NDArray[np.float64], k: int) -> NDArray[np.float64]:
        """Mean of `values` (n_listed) over the first k of each user, float64 (n_users); 0 without results."""
        means: NDArray[np.float64] = self.sums(values, k) / np.maximum(self.shown(k), 1)
        return means

    def first(self, k: int) -> "Lists":
        """The first k of every list."""
        if not len(self.items) or self.sizes.max() <= k:
            return self
        return Lists(offsets_of_sizes(self.shown(k)), self.items[self.ranks <= k])

    def of(self, users: Rows) -> "Lists":
        """The lists of some users, in the order of `users`."""
        sizes = self.sizes[users]
        offsets = offsets_of_sizes(sizes)
        rows = np.arange(offsets[-1]) + np.repeat(self.offsets[users] - offsets[:-1], sizes)
        return Lists(offsets, self.items[rows])
