"""Sources without vectors: the items that each item points to, as a sparse matrix."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from scipy import sparse

from aisle.data.history import Histories
from aisle.data.ids import Rows
from aisle.retriever.pools import Pool
from aisle.retriever.similarity import recency


@dataclass(frozen=True)
class Neighbours:
    """Scores of items by the items of a history: the sum over its last `REACH` events of

        decay ** steps back * similarity(history item, item).

    Attributes:
        similar: similarities, 0 or more, float32 (items, items).
        decay: see above.
        most: unseen items of a user that count, the best ones; None: all with a score.
    """

    similar: sparse.csr_array
    decay: float
    most: int | None = None

    def scores(self, histories: Histories, user_rows: Rows) -> sparse.csr_array:
        """Scores of the items that any of a user's items points to, float32 (users, items), rows sorted."""
        past = recency(histories, user_rows, self.decay, self.similar.shape[0])
        scores = sparse.csr_array(past @ self.similar, dtype=np.float32)
        scores.sort_indices()
        return scores

    def shares(
        self, histories: Histories, user_rows: Rows, seen: Sequence[Rows]
    ) -> tuple[Pool, Float[NDArray[np.float32], " n"]]:
        """Unseen items that count, and the share of each in its user's sum of scores."""
        scores = self.scores(histories, user_rows)
        everything = Pool(scores.indptr.astype(np.int64), scores.indices.astype(np.int64), scores.shape[1])
        pool, kept = everything.without(seen)
        values = scores.data[kept]
        if self.most is not None:
            best = np.sort(pool.best(values, self.most)[0])
            pool, values = pool.at(best), values[best]
        sums = np.bincount(pool.owner, values, minlength=len(pool))
        return pool, (values / sums[pool.owner]).astype(np.float32)

    def wider(self, more: int) -> "Neighbours":
        """The same similarities in a matrix with empty rows and columns behind them."""
        old = self.similar
        items = old.shape[0] + more
        indptr = np.concatenate([old.indptr, np.full(more, old.indptr[-1], old.indptr.dtype)])
        return replace(self, similar=sparse.csr_array((old.data, old.indices, indptr), (items, items)))

    def save(self, path: Path) -> None:
        """Write the similarities as safetensors."""
        arrays: dict[str, NDArray[Any]] = {
            "data": self.similar.data.astype(np.float32),
            "indices": self.similar.indices.astype(np.int64),
            "indptr": self.similar.indptr.astype(np.int64),
        }
        save_file(arrays, path)

    @classmethod
    def load(cls, path: Path, decay: float, most: int | None) -> "Neighbours":
        """Read what :meth:`save` wrote."""
        arrays = load_file(path)
        items = len(arrays["indptr"]) - 1
        similar = sparse.csr_array((arrays["data"], arrays["indices"], arrays["indptr"]), (items, items))
        return cls(similar, decay, most)


def largest(matrix: sparse.csr_array, most: int) -> sparse.csr_array:
    """The `most` largest entries of each row; among equals those of the smaller columns."""
    sizes = np.diff(matrix.indptr)
    if sizes.max(initial=0) <= most:
        return matrix
    rows = np.repeat(np.arange(len(sizes)), sizes)
    order = np.lexsort((matrix.indices, -matrix.data, rows))
    kept = np.sort(order[np.arange(len(order)) - matrix.indptr[rows[order]] < most])
    ends = (matrix.data[kept], (rows[kept], matrix.indices[kept]))
    return sparse.csr_array(ends, matrix.shape)
