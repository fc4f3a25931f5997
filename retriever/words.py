"""Items that share words with those of a history: BM25 between the items' texts. Nothing is trained.

What the language model's vectors smooth over (a model number, a rare ingredient) is what words are good at,
and items that no event names are found by their words, too.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from scipy import sparse

from aisle.data.words import Bm25
from aisle.retriever.neighbours import Neighbours

NEIGHBOURS = 200
"""Items with the largest BM25 that each item keeps."""

USER_ITEMS = 300
"""Items that a user's words point to, at most."""

CELLS = 1 << 24
"""Scores in memory at once (64 MiB)."""


def similar_words(words: Sequence[Sequence[str]]) -> sparse.csr_array:
    """BM25 of each item's text (the column) for that of each other item, the largest `NEIGHBOURS` of a row.

    Args:
        words: of each item.

    Returns:
        float32 (items, items), rows sorted; nothing on the diagonal.
    """
    statistics = Bm25.of(words)
    return _rows(statistics.queries(words), statistics.documents(words), np.arange(len(words)))


def neighbours(similar: sparse.csr_array, decay: float) -> Neighbours:
    """The source: `decay` for each event that a user had after an item."""
    return Neighbours(similar, decay, USER_ITEMS)


def with_words(
    source: Neighbours, words: Sequence[Sequence[str]], more: Sequence[Sequence[str]], *, trained: int
) -> Neighbours:
    """The source with more items. Those that were there keep their similarities to each other.

    How rare words are, and how long texts, stays as it was in training, so that it is all the same whether
    items are added together or one by one.

    Args:
        source: of the items so far.
        words: of these.
        more: words of the items that are added.
        trained: the first of the items so far, which were there in training.
    """
    old, new = len(words), len(more)
    statistics, everything = Bm25.of(words[:trained]), [*words, *more]
    queries, documents = statistics.queries(everything), statistics.documents(everything)
    rows = _rows(queries, documents, np.arange(old, old + new))
    columns = sparse.csr_array(queries[:old] @ documents[:, old:], dtype=np.float32)
    wider = source.wider(new).similar
    to_new = sparse.hstack([_nothing(old, old), columns], format="csr")
    similar = sparse.csr_array(sparse.vstack([wider[:old] + to_new, rows], format="csr"))
    similar.sort_indices()
    return neighbours(similar, source.decay)


def _rows(
    queries: sparse.csr_array, documents: sparse.csr_array, chosen: NDArray[np.int64]
) -> sparse.csr_array:
    """Rows of the similarities, float32 (chosen, items)."""
    items = documents.shape[1]
    keep = min(NEIGHBOURS, items)
    size = max(1, CELLS // max(1, items))
    parts = [_nothing(0, items)]
    for start in range(0, len(chosen), size):
        rows = chosen[start : start + size]
        scores: Float[NDArray[np.float32], "rows items"] = (queries[rows] @ documents).toarray()
        scores[np.arange(len(rows)), rows] = 0
        best = np.sort(np.argpartition(-scores, keep - 1, axis=1)[:, :keep], axis=1)
        values = np.take_along_axis(scores, best, axis=1)
        owner, place = np.nonzero(values > 0)
        ends = (values[owner, place].astype(np.float32), (owner, best[owner, place]))
        parts.append(sparse.csr_array(ends, (len(rows), items)))
    return sparse.csr_array(sparse.vstack(parts, format="csr"), dtype=np.float32)


def _nothing(rows: int, items: int) -> sparse.csr_array:
    nothing = (np.empty(0, np.float32), (np.empty(0, np.int64), np.empty(0, np.int64)))
    return sparse.csr_array(nothing, (rows, items))
