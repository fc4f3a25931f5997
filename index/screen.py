"""Exact search that reads few vectors exactly: products of bytes show which ones cannot be among the best.

A product of bytes takes a processor with VNNI instructions less than half the time of one in float32. Bounds
of what it leaves out (:mod:`aisle.index.codes`) tell apart the vectors that may be among the k best; they are
scored by FAISS. The answer is that of the search of all vectors, up to rounding in equal measure.
"""

from threading import Lock

import faiss
import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

from aisle.index.base import NONE, Found
from aisle.index.codes import BLOCK, Asked, Codes
from aisle.index.filters import by_score
from aisle.index.products import largest, multiplies_bytes, multiplies_tiles, products

FEWEST_VECTORS, FEWEST_QUERIES, LARGEST_K = 8 * BLOCK, 8, 512
"""Fewer vectors, fewer queries or longer answers gain little (`benchmarks/search_blas.py`)."""

FEWEST_NUMBERS, FEWEST_WITH_TILES = 75_000_000, 12_500_000
"""Numbers of all vectors: where there are fewer, what candidates cost is not won back from the products
(`benchmarks/search_screen.py`, on a processor without AMX and on one with it)."""

AT_ONCE = 256
"""Queries of one pass over the codes."""

RISE = 4
"""Thresholds are raised after so many blocks, and again after so many times more each time."""

PENDING = 2**21
"""And whenever so many candidates wait for it."""

HOPELESS = 0.05
"""Share of the vectors seen so far that may be among the k best of a query, at most, for it to go on."""

Queries = Float[NDArray[np.float32], "b dim"]
Places = Int[NDArray[np.int64], " _"]


def fewest_vectors(dim: int) -> int:
    """Vectors from which on this processor gains from it."""
    numbers = FEWEST_WITH_TILES if multiplies_tiles() else FEWEST_NUMBERS
    return max(FEWEST_VECTORS, -(-numbers // dim))


class Screen:
    """The codes of a flat index of inner products, and the search through them.

    They are made by the first search that needs them: a quarter of the memory of the vectors, and about as
    long as a plain search of a thousand queries.
    """

    def __init__(self, flat: faiss.IndexFlat) -> None:
        self._flat = flat
        self._codes: Codes | None = None
        self._lock = Lock()

    def fits(self, queries: int, k: int) -> bool:
        """Whether a search gains from it: by its size, and by what the processor can do."""
        large = self._flat.ntotal >= fewest_vectors(self._flat.d)
        return bool(large and queries >= FEWEST_QUERIES and k <= LARGEST_K and multiplies_bytes())

    def search(self, queries: Queries, k: int) -> tuple[Found, Bool[NDArray[np.bool_], " b"]]:
        """The k best rows of each query, best first and then by row; and for which queries it was given up.

        It is given up where too many vectors may be among the best: vectors that are all alike, or a query
        of zeros. Such a query's rows are `NONE`.
        """
        codes = self.codes
        scores = np.full((len(queries), k), -np.inf, np.float32)
        rows = np.full((len(queries), k), NONE)
        given_up = np.zeros(len(queries), bool)
        for start in range(0, len(queries), AT_ONCE):
            some = slice(start, start + AT_ONCE)
            search = _Search(self._flat, codes, np.ascontiguousarray(queries[some]), k)
            scores[some], rows[some], given_up[some] = search.run()
        return (scores, rows), given_up

    @property
    def codes(self) -> Codes:
        """Made once, whichever thread asks first."""
        with self._lock:
            if self._codes is None:
                self._codes = Codes.of(self._flat)
            return self._codes


class _Search:
    """One pass over the codes for some queries.

    Attributes:
        least: what the k-th best inner product less the mean's is at least, as far as is known, float64 (b).
        given_up: which queries have too many candidates, bool (b).
    """

    def __init__(self, flat: faiss.IndexFlat, codes: Codes, queries: Queries, k: int) -> None:
        self.flat, self.codes, self.queries, self.k = flat, codes, queries, k
        self.asked = Asked.of(queries, codes)
        self.least = np.full(len(queries), -np.inf)
        self.given_up = np.zeros(len(queries), bool)
        self.left = _Candidates()
        self.room = np.empty(len(queries) * BLOCK, np.int32)

    def run(self) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.bool_]]:
        """Scores and rows (b, k), and which queries were given up."""
        blocks = len(self.codes.step)
        self._begin()
        cuts = self.asked.cuts(self.least)
        due = RISE
        for block in range(blocks):
            self._look(block, cuts[:, block])
            if block + 1 in (due, blocks) or self.left.pending > PENDING:
                self._raise((block + 1) * BLOCK)
                cuts = self.asked.cuts(np.where(self.given_up, np.inf, self.least))
            if self.given_up.all():
                break
            if block + 1 == due:
                due *= RISE
        return (*self._best(), self.given_up)

    def _products(self, block: int) -> NDArray[np.int32]:
        """Products of the codes, int32 (b, vectors of the block), until the next block is asked for."""
        return products(self.asked.codes, self.codes.block(block), self.room)

    def _begin(self) -> None:
        """A first threshold: the vectors of the first block that look best."""
        best = largest(self._products(0).astype(np.float32), self.k)
        self._at_least(np.arange(len(self.queries)), self.codes.rows[best])

    def _at_least(self, which: Places, rows: Int[NDArray[np.int64], "q k"]) -> None:
        """Queries `which` have these k rows: the k-th best is no worse than the worst of them."""
        worst = _scores(self.flat, self.queries[which], rows).min(axis=1).astype(np.float64)
        least = worst - self.asked.shift[which] - self.asked.slack[which]
        self.given_up[which] |= ~np.isfinite(least)
        self.least[which] = np.fmax(self.least[which], least)

    def _look(self, block: int, cuts: Int[NDArray[np.int32], " b"]) -> None:
        """Take the vectors of a block that may be among the best."""
        found = self._products(block)
        high = found >= cuts[:, None]
        if high.flags.c_contiguous:
            query, place = np.divmod(np.flatnonzero(high), high.shape[1])
        else:
            place, query = np.divmod(np.flatnonzero(high.T), high.shape[0])
        if len(query):
            most = found[query, place] * self.asked.unit[query, block] + self.asked.error[query, block]
            self.left.add(query, place + block * BLOCK, most)

    def _raise(self, seen: int) -> None:
        """Raise the thresholds to what the candidates that look best reach, and drop those below.

        Each query has k candidates at least: those that its threshold comes from are among them.
        """
        left = self.left
        left.settle(len(self.queries))
        self.given_up |= left.counts > self.k + HOPELESS * seen
        left.keep(~self.given_up[left.query])
        able = np.flatnonzero(~self.given_up)
        if len(able):
            self._at_least(able, self.codes.rows[left.best(able, self.k)])
        left.keep((left.most >= self.least[left.query]) & ~self.given_up[left.query])

    def _best(self) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The k best of the candidates by their exact scores."""
        left = self.left
        width = max(int(left.counts.max(initial=0)), self.k)
        rows = np.full((len(self.queries), width), NONE)
        rows[left.query, left.order] = self.codes.rows[left.place]
        scores, rows = by_score(_scores(self.flat, self.queries, rows), rows)
        return scores[:, : self.k], rows[:, : self.k]


class _Candidates:
    """Pairs of a query and a place among the codes, with the most that their inner product can be.

    `query`, `place` and `most` are settled pairs by query, `counts` their number for each query; others are
    pending.
    """

    def __init__(self) -> None:
        self.query, self.place, self.most = np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
        self.counts = np.zeros(0, np.int64)
        self.pending = 0
        self._new: list[tuple[Places, Places, NDArray[np.float64]]] = []

    def add(self, query: Places, place: Places, most: NDArray[np.float64]) -> None:
        self._new.append((query, place, most))
        self.pending += len(query)

    def settle(self, queries: int) -> None:
        """Put pending pairs to the settled ones."""
        parts = zip((self.query, self.place, self.most), *self._new, strict=True)
        query, place, most = (np.concatenate(part) for part in parts)
        order = np.argsort(query.astype(np.uint16), kind="stable")  # uint16 is sorted by counting
        self.query, self.place, self.most = query[order], place[order], most[order]
        self.counts = np.bincount(self.query, minlength=queries)
        self.pending, self._new = 0, []

    def keep(self, which: Bool[NDArray[np.bool_], " n"]) -> None:
        """Drop the other settled pairs."""
        self.query, self.place, self.most = self.query[which], self.place[which], self.most[which]
        self.counts = np.bincount(self.query, minlength=len(self.counts))

    @property
    def order(self) -> Places:
        """Place of each pair among those of its query, from 0."""
        return np.arange(len(self.query)) - np.repeat(np.cumsum(self.counts) - self.counts, self.counts)

    def best(self, queries: Places, k: int) -> Int[NDArray[np.int64], "q k"]:
        """Places of the k pairs with the largest `most` of each of `queries`, which all have as many."""
        table = np.full((len(self.counts), int(self.counts.max())), -np.inf)
        table[self.query, self.order] = self.most
        chosen = largest(table[queries], k)
        starts = np.cumsum(self.counts) - self.counts
        found: NDArray[np.int64] = self.place[starts[queries, None] + chosen]
        return found


def _scores(
    flat: faiss.IndexFlat, queries: Queries, rows: Int[NDArray[np.int64], "b w"]
) -> Float[NDArray[np.float32], "b w"]:
    """Inner products of each query and its rows, float32; -inf for `NONE`."""
    rows = np.ascontiguousarray(rows)
    scores = np.empty(rows.shape, np.float32)
    flat.compute_distance_subset(
        len(queries), faiss.swig_ptr(queries), rows.shape[1], faiss.swig_ptr(scores), faiss.swig_ptr(rows)
    )
    scores[rows == NONE] = -np.inf
    return scores
