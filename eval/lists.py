"""What a run returned to each user, best first, as flat arrays."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from aisle.data.ids import Rows
from aisle.data.ragged import Ragged, offsets_of_sizes

Number = TypeVar("Number", np.float32, np.float64)

USERS_AT_ONCE = 2048
"""Users whose sums of features one core makes at a time."""


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

    def sums_of_first(
        self, cut_offs: Sequence[int], features: NDArray[Number], users_at_once: int = USERS_AT_ONCE
    ) -> Iterator[tuple[slice, NDArray[Number]]]:
        """Sums of the features of the first k items, for all cut-offs in one pass.

        Args:
            cut_offs: k, rising.
            features: of the items that codes stand for, (n_codes, width).

        Yields:
            some users, and their sums (users, cut-offs, width).
        """
        bounds = np.minimum(self.sizes[:, None], np.array(cut_offs)) + self.offsets[:-1, None]

        def sums(start: int) -> tuple[slice, NDArray[Number]]:
            here = slice(start, min(start + users_at_once, len(self)))
            first, last = self.offsets[here.start], self.offsets[here.stop]
            # a row for what each cut-off adds to the one before, and one for what is below the last
            ends = np.column_stack([bounds[here], self.offsets[1:][here]]).ravel()
            columns = self.items[first:last]
            added = sparse.csr_array(
                (np.ones(len(columns), features.dtype), columns, np.append(first, ends) - first),
                (len(ends), len(features)),
            )
            found = (added @ features).reshape(here.stop - start, len(cut_offs) + 1, -1)[:, :-1]
            for at in range(1, len(cut_offs)):
                found[:, at] += found[:, at - 1]
            return here, found

        starts = range(0, len(self), users_at_once)
        with ThreadPoolExecutor(threads := os.cpu_count() or 1) as pool:  # a sparse product takes one core
            for some in range(0, len(starts), threads):
                yield from pool.map(sums, starts[some : some + threads])
