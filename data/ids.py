"""External ids and internal row numbers: two names, two types, one map.

An *id* is the shop's own string (`item_id`, `user_id`). A *row* is a position in our arrays
(`item_row`, `user_row`, int64, from 0). Only :class:`Ids` turns one into the other.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aisle.data.errors import InputError

Rows = NDArray[np.int64]


class Ids:
    """A fixed, ordered set of external ids.

    >>> items = Ids(["b", "a"])
    >>> items.rows(["a", "b", "a"])
    array([1, 0, 1])
    >>> items.ids(np.array([0]))
    ['b']
    """

    def __init__(self, values: Sequence[str] | pl.Series) -> None:
        self.values = pl.Series("id", values, dtype=pl.String)
        if self.values.null_count():
            raise InputError("ids", f"{self.values.null_count()} null ids", "drop the rows without an id")
        self._rows = {value: row for row, value in enumerate(self.values)}
        if len(self._rows) != len(self.values):
            repeated = self.values.filter(self.values.is_duplicated())[0]
            raise InputError("each id once", f"id {repeated!r} more than once", "merge the repeated rows")

    def __len__(self) -> int:
        return len(self.values)

    def __contains__(self, value: object) -> bool:
        return value in self._rows

    def rows(self, values: Sequence[str] | pl.Series) -> Rows:
        """Rows of `values`, int64 of the same length.

        Raises:
            InputError: an id is not in the map.
        """
        try:
            return np.fromiter((self._rows[value] for value in values), np.int64, len(values))
        except KeyError as error:
            raise InputError(
                f"ids among the {len(self)} known ones", f"unknown id {error.args[0]!r}", "add it first"
            ) from None

    def ids(self, rows: Rows) -> list[str]:
        """External ids of `rows`, in their order."""
        return self.values.gather(rows).to_list()

    def code(self, column: str) -> pl.Expr:
        """Expression that turns a column of ids into rows (Int64; null for unknown ids)."""
        rows = pl.Series(np.arange(len(self), dtype=np.int64))
        return (
            pl.col(column)
            .cast(pl.String)
            .replace_strict(self.values, rows, default=None, return_dtype=pl.Int64)
        )
