"""An index whose rows answer by other numbers: those of a catalogue that has more items, in another order."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

from aisle.index.base import NONE, Found, Index, Mask, Vectors
from aisle.index.errors import IndexFault


class Renumbered(Index):
    """Row `i` of an index answers as row `rows[i]`.

    Args:
        index: that is searched.
        rows: int64 (n), all different; `NONE`: never returned.
        size: rows that there are, with and without an item in the index.

    Raises:
        IndexFault: not a row for each, or one twice.
    """

    def __init__(self, index: Index, rows: Int[NDArray[np.int64], " n"], size: int) -> None:
        held = rows[rows != NONE]
        if len(rows) != len(index) or len(np.unique(held)) != len(held) or held.max(initial=-1) >= size:
            found = f"{len(rows)} rows, {len(np.unique(held))} different ones"
            raise IndexFault(f"a row below {size} for each of {len(index)}", found, "number them anew")
        self.index = index
        self.rows = rows
        self.places = np.full(size, NONE, np.int64)
        self.places[held] = np.flatnonzero(rows != NONE)

    def __len__(self) -> int:
        """Rows, with and without an item in the index."""
        return len(self.places)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self.index.dim

    @property
    def held(self) -> Bool[NDArray[np.bool_], " rows"]:
        """Which rows have an item in the index."""
        held: Bool[NDArray[np.bool_], " rows"] = self.places != NONE
        return held

    @property
    def vectors(self) -> Vectors:
        """All item vectors as they are stored; zeros where there is no item."""
        stored = np.zeros((len(self), self.dim), np.float32)
        stored[self.held] = self.index.reconstruct(self.places[self.held])
        return stored

    def reconstruct(self, rows: Int[NDArray[np.int64], " m"]) -> Float[NDArray[np.float32], "m dim"]:
        """The stored vectors of some rows.

        Raises:
            IndexFault: there is no such row, or no item in it.
        """
        inside = (rows >= 0) & (rows < len(self))
        if not inside.all() or not self.held[rows].all():
            raise IndexFault("rows that have an item", f"{len(rows)} rows, some without", "leave them out")
        return self.index.reconstruct(self.places[rows])

    def search(
        self,
        queries: Float[NDArray[np.float32], "b dim"],
        k: int,
        exclude: Sequence[NDArray[np.int64]] | None = None,
        allow: Mask | None = None,
    ) -> Found:
        """The `k` best rows of each query; among equal scores in the order of the index.

        Arguments, returns and raises as :meth:`aisle.index.base.Index.search`, in the new numbers.
        """
        own = None if exclude is None else [self._own(rows) for rows in exclude]
        mask = None
        if allow is not None or (self.rows == NONE).any():
            everything = np.ones(len(self), np.bool_) if allow is None else allow
            mask = np.ascontiguousarray(everything[..., self.rows] & (self.rows != NONE))
            mask = None if mask.all() else mask
        scores, places = self.index.search(queries, k, own, mask)
        return scores, np.where(places == NONE, NONE, self.rows[places])

    def _own(self, rows: Int[NDArray[np.int64], " _"]) -> Int[NDArray[np.int64], " _"]:
        places: NDArray[np.int64] = self.places[rows]
        left: NDArray[np.int64] = places[places != NONE]
        return left
