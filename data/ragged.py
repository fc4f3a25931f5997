"""Rows of different lengths as one flat array with offsets (compressed sparse rows)."""

import numpy as np

from aisle.data.ids import Rows


class Ragged:
    """Row `i` owns the slice `offsets[i]:offsets[i + 1]` of the flat arrays.

    Attributes:
        offsets: int64 (rows + 1), rising from 0.
    """

    offsets: Rows

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def sizes(self) -> Rows:
        """Entries of each row, int64 (rows)."""
        return np.diff(self.offsets)

    def owners(self) -> Rows:
        """Row of each entry, int64 (entries)."""
        return np.repeat(np.arange(len(self)), self.sizes)


def spans(starts: Rows, sizes: Rows) -> Rows:
    """Places of several spans, one span after the other.

    >>> spans(np.array([7, 0, 2]), np.array([2, 0, 3]))
    array([7, 8, 2, 3, 4])
    """
    ends = np.cumsum(sizes)
    places: Rows = np.repeat(starts - ends + sizes, sizes) + np.arange(sizes.sum())
    return places


def offsets_of_sizes(sizes: Rows) -> Rows:
    """Offsets of rows of these sizes.

    >>> offsets_of_sizes(np.array([2, 0, 3]))
    array([0, 2, 2, 5])
    """
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def offsets_of_owners(owner: Rows, rows: int) -> Rows:
    """Offsets of `rows` rows from the row of each entry, rising.

    >>> offsets_of_owners(np.array([0, 0, 2, 2, 2]), 3)
    array([0, 2, 2, 5])
    """
    return offsets_of_sizes(np.bincount(owner, minlength=rows))
