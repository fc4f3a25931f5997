"""Item-kNN: items near the ones in the user's history, in the space of who had them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from implicit.nearest_neighbours import bm25_weight
from scipy import sparse

from aisle.data.ids import Rows
from aisle.eval.baselines.past import Past, Scores
from aisle.eval.truth import places

_PAIRS_AT_ONCE = 1 << 25


@dataclass
class ItemKnn:
    """Score: `sum over the history of decay ** steps_back * similarity(item, history item)`.

    `similarity(i, j) = x_i . x_j / (|x_i| |x_j| + shrink)` for the columns x of the user-item matrix (1
    where the user had the item): cosine with shrinkage, which damps pairs that few users support. Each
    item keeps its `neighbours` most similar ones.
    Source: Sarwar et al. 2001, "Item-based collaborative filtering recommendation algorithms"; shrinkage as
    in Ferrari Dacrema et al. 2019, "Are we really making much progress?".
    """

    shrink: float = 20.0
    decay: float = 0.8
    neighbours: int = 500
    similar: sparse.csr_array = field(init=False, repr=False)
    histories: sparse.csr_array = field(init=False, repr=False)

    def fit(self, past: Past, *, seed: int, threads: int) -> Self:
        """Compute the neighbours of all items."""
        had = past.counts.copy()
        had.data[:] = 1
        norms = np.sqrt(had.sum(axis=0))

        def cosine(rows: Rows, columns: Rows, dots: Scores) -> Scores:
            return (dots / (norms[rows] * norms[columns] + self.shrink)).astype(np.float32)

        self.similar = _neighbours(had, self.neighbours, cosine)
        self.histories = past.weighted(self.decay)
        return self

    def scores(self, user_rows: Rows) -> Scores:
        """Similarities summed over each history."""
        return _product(self.histories[user_rows], self.similar)


@dataclass
class ItemKnnBm25:
    """As :class:`ItemKnn`, with `similarity(i, j) = x_i . x_j` over a user-item matrix that BM25 weighs.

    Items are the documents and users the words: a user with many items tells little about each, and an item
    with many users is damped by `k1` and `b`. Model and weighting are those of
    `implicit.nearest_neighbours.BM25Recommender`.
    """

    k1: float = 1.2
    b: float = 0.75
    decay: float = 0.8
    neighbours: int = 500
    similar: sparse.csr_array = field(init=False, repr=False)
    histories: sparse.csr_array = field(init=False, repr=False)

    def fit(self, past: Past, *, seed: int, threads: int) -> Self:
        """Compute the neighbours of all items."""
        users = past.counts
        if users.nnz:  # the average length of nothing is nothing to divide by
            users = sparse.csr_array(bm25_weight(users.T, self.k1, self.b).T, dtype=np.float32)
        self.similar = _neighbours(users, self.neighbours, None)
        self.histories = past.weighted(self.decay)
        return self

    def scores(self, user_rows: Rows) -> Scores:
        """Similarities summed over each history."""
        return _product(self.histories[user_rows], self.similar)


def _neighbours(
    users: sparse.csr_array, most: int, similarity: Callable[[Rows, Rows, Scores], Scores] | None
) -> sparse.csr_array:
    """The `most` largest similarities of each item, float32 (n_items, n_items).

    Similarities are the dot products of the columns of `users`, or what `similarity` makes of them. An item
    is its own neighbour: whether it may be recommended again is for the mask of seen items to say. Among
    equal similarities the smaller item row stays. Works through the items in blocks of bounded memory.
    """
    items = users.T.tocsr()
    pairs = np.cumsum(items.astype(bool).astype(np.int64) @ np.diff(users.indptr))
    parts, start = [], 0
    while start < items.shape[0]:
        done = pairs[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(pairs, done + _PAIRS_AT_ONCE, side="right")))
        dots = (items[start:stop] @ users).tocoo()
        rows, columns = dots.row.astype(np.int64), dots.col.astype(np.int64)
        values = dots.data if similarity is None else similarity(rows + start, columns, dots.data)
        order = np.lexsort((columns, -values, rows))
        order = order[places(rows[order]) <= most]
        parts.append(
            sparse.csr_array((values[order], (rows[order], columns[order])), (stop - start, users.shape[1]))
        )
        start = stop
    return sparse.csr_array(sparse.vstack(parts, format="csr", dtype=np.float32))


def _product(histories: sparse.csr_array, similar: sparse.csr_array) -> Scores:
    scores: Scores = (histories @ similar).toarray()
    return scores
