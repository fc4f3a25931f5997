"""How near the items of a list are to those of a history: one relation of items to items at a time."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from aisle.data.ids import Rows

Floats = NDArray[np.float32]


class Kinship(Protocol):
    """A relation of items to items."""

    def __call__(self, past: Rows, items: Rows) -> Floats:
        """How each item is related to each past one.

        Args:
            past: item rows, int64 (lists, events).
            items: item rows, int64 (lists, places).

        Returns:
            float32 (lists, places, events).
        """
        ...


@dataclass(frozen=True)
class Counted:
    """A sparse matrix: row the item of the history, column the item of the list; 0 where nothing is kept."""

    matrix: sparse.csr_array

    def __call__(self, past: Rows, items: Rows) -> Floats:
        """Looks the pairs up in the rows of these past items alone, however large the catalogue is."""
        width = self.matrix.shape[1]
        rows, place = np.unique(past, return_inverse=True)
        part = self.matrix[rows]
        part.sort_indices()
        keys = np.repeat(np.arange(len(rows)), np.diff(part.indptr)) * width + part.indices
        asked = place.reshape(past.shape)[:, None, :] * width + items[:, :, None]
        if not len(keys):
            return np.zeros(asked.shape, np.float32)
        at = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
        found: Floats = np.where(keys[at] == asked, part.data[at], 0).astype(np.float32)
        return found


@dataclass(frozen=True)
class Near:
    """Cosine of vectors, float32 (items, dim); 0 for an item without one."""

    vectors: Floats

    @classmethod
    def of(cls, vectors: Floats) -> "Near":
        """From vectors of any length."""
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return cls(np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0))

    def __call__(self, past: Rows, items: Rows) -> Floats:
        """Inner products of unit vectors."""
        found: Floats = self.vectors[items] @ self.vectors[past].transpose(0, 2, 1)
        return found


@dataclass(frozen=True)
class Alike:
    """1 where both items have the same code, int64 (items); -1 is no code and like nothing."""

    codes: Rows

    def __call__(self, past: Rows, items: Rows) -> Floats:
        """Compares codes."""
        left, right = self.codes[items][:, :, None], self.codes[past][:, None, :]
        found: Floats = ((left == right) & (left >= 0)).astype(np.float32)
        return found


SUMMARIES: dict[str, Callable[[Floats, Floats], Floats]] = {
    "last": lambda values, _: values[:, :, 0],
    "second": lambda values, _: values[:, :, 1],
    "most": lambda values, _: np.maximum(values.max(-1), 0),
    "mean": lambda values, weights: values.sum(-1) / np.maximum(np.count_nonzero(weights, -1), 1)[:, None],
    "recent": lambda values, weights: (values * weights[:, None, :]).sum(-1),
}
"""What becomes of the values of a candidate to all past events, newest first and 0 where there is no event;
`weights` (lists, events) falls with the steps back, and is 0 there, too. The most is 0 at least, so that it
is the same beside longer histories."""
