"""What every index answers, whatever kind it is."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

NONE = -1
"""Row that stands where no item is left."""

Vectors = Float[NDArray[np.float32], "n dim"]
"""Item vectors, one a row."""

Mask = Bool[NDArray[np.bool_], " n"] | Bool[NDArray[np.bool_], "b n"]
"""Rows that may be returned: for all queries alike, or for each of them."""

Found = tuple[Float[NDArray[np.float32], "b k"], Int[NDArray[np.int64], "b k"]]
"""Scores and rows of each query, best first; -inf and `NONE` where fewer are left."""


class Index(ABC):
    """Item vectors that can be searched: row `i` answers as row `i`."""

    @abstractmethod
    def __len__(self) -> int:
        """Number of items."""

    @property
    @abstractmethod
    def dim(self) -> int:
        """Length of a vector."""

    @property
    @abstractmethod
    def vectors(self) -> Vectors:
        """All item vectors as they are stored: of unit length under cosine, rounded where storage rounds."""

    @abstractmethod
    def reconstruct(self, rows: Int[NDArray[np.int64], " m"]) -> Float[NDArray[np.float32], "m dim"]:
        """The stored vectors of some rows.

        Raises:
            IndexFault: there is no such row.
        """

    @abstractmethod
    def search(
        self,
        queries: Float[NDArray[np.float32], "b dim"],
        k: int,
        exclude: Sequence[NDArray[np.int64]] | None = None,
        allow: Mask | None = None,
    ) -> Found:
        """The `k` best rows of each query, best first; among the found, equal scores by row.

        Filters act inside the search: a query has `k` results whenever `k` rows are left for it.

        Args:
            queries: float32 (b, dim).
            k: results wanted for each query.
            exclude: for each query, the rows that must not be returned.
            allow: bool (n,) for all queries, or (b, n): the only rows that may be returned.

        Returns:
            Scores, float32 (b, k), and rows, int64 (b, k). Where fewer than `k` are left: -inf and `NONE`.

        Raises:
            IndexFault: `k` < 1, queries of another dimension or not finite, or filters of another shape.
        """
