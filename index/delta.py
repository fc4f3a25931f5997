"""Items added, replaced and deleted between two builds of a large index."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from threading import Lock

import numpy as np
import polars as pl
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

from aisle.durable import write_whole
from aisle.index.base import NONE, Found, Index, Mask, Vectors
from aisle.index.errors import IndexFault
from aisle.index.exact import ExactIndex
from aisle.index.filters import by_score, check_search, unwanted
from aisle.index.searched import check_vectors
from aisle.index.settings import IndexSettings

FILE = "delta.parquet"
"""What `save_delta` writes: `row`, and its `vector`, null where the row was deleted."""

Rows = Int[NDArray[np.int64], " m"]


@dataclass(frozen=True)
class Changes:
    """The difference to the large index at one moment; never changed, only replaced.

    Attributes:
        alive: bool (rows,): which rows there are, of those that were ever given out.
        current: bool (n,): which rows of the large index are still as it has them.
        rows: of the items in `small`, ascending.
        vectors: float32 (m, dim), of the items that were added or replaced, as they came.
        small: exact index of them; None if there are none.
    """

    alive: Bool[NDArray[np.bool_], " rows"]
    current: Bool[NDArray[np.bool_], " n"]
    rows: Int[NDArray[np.int64], " m"]
    vectors: Float[NDArray[np.float32], "m dim"]
    small: ExactIndex | None


class Updated(Index):
    """A large index and a small exact one beside it, searched as one.

    Rows keep their numbers: a replaced item answers as the row that it had, an added one as the next that was
    never used, a deleted one no more. A change is there for the next search; searches that run see the state
    before it. May be searched and changed by several threads.

    Args:
        base: the large index; it is left as it is.
        settings: with its metric.
    """

    def __init__(self, base: Index, settings: IndexSettings) -> None:
        n = len(base)
        self.base = base
        self.settings = settings.model_copy(update={"kind": "exact", "device": "cpu", "storage": "float32"})
        self._lock = Lock()
        none = np.empty(0, np.int64), np.empty((0, base.dim), np.float32)
        self._changes = Changes(np.ones(n, np.bool_), np.ones(n, np.bool_), *none, None)

    def __len__(self) -> int:
        """Rows that were ever given out; those of deleted items stay empty."""
        return len(self._changes.alive)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self.base.dim

    @property
    def alive(self) -> Bool[NDArray[np.bool_], " rows"]:
        """Which rows have an item."""
        return self._changes.alive.copy()

    @property
    def changed(self) -> int:
        """Items that the small index holds; searches slow down as it grows, until all is built anew."""
        return len(self._changes.rows)

    @property
    def changed_rows(self) -> Rows:
        """Rows of these items, ascending."""
        return self._changes.rows.copy()

    @property
    def vectors(self) -> Vectors:
        """All item vectors as they are stored; zeros in the rows of deleted items."""
        changes = self._changes
        small = changes.vectors if changes.small is None else changes.small.vectors
        return _merged(changes, self.base.vectors, small)

    def as_they_came(self, kept: Vectors) -> Float[NDArray[np.float32], "rows dim"]:
        """All item vectors before they were stored; zeros in the rows of deleted items.

        Args:
            kept: those of the large index, float32 (n, dim).
        """
        changes = self._changes
        return _merged(changes, kept, changes.vectors)

    def reconstruct(self, rows: Int[NDArray[np.int64], " m"]) -> Float[NDArray[np.float32], "m dim"]:
        """The stored vectors of some rows.

        Raises:
            IndexFault: there is no such row, or no item in it.
        """
        changes = self._changes
        _check_rows(changes, rows)
        found = np.empty((len(rows), self.dim), np.float32)
        old = np.isin(rows, changes.rows, invert=True)
        found[old] = self.base.reconstruct(rows[old])
        if changes.small is not None:
            found[~old] = changes.small.reconstruct(np.searchsorted(changes.rows, rows[~old]))
        return found

    def add(self, vectors: Vectors) -> Int[NDArray[np.int64], " n"]:
        """Add items.

        Returns:
            The rows that they answer as.

        Raises:
            IndexFault: vectors of another dimension, or not finite.
        """
        with self._lock:
            rows = np.arange(len(self), len(self) + len(vectors))
            alive = np.concatenate([self._changes.alive, np.ones(len(vectors), np.bool_)])
            self._put(rows, vectors, alive)
        return rows

    def replace(self, rows: Rows, vectors: Float[NDArray[np.float32], "m dim"]) -> None:
        """Give items of some rows new vectors.

        Raises:
            IndexFault: a row twice or without an item, or vectors of another dimension, or not finite.
        """
        with self._lock:
            _check_rows(self._changes, rows)
            self._put(rows, vectors, self._changes.alive)

    def delete(self, rows: Rows) -> None:
        """Take items out; no search that starts afterwards returns them.

        Raises:
            IndexFault: a row twice or without an item.
        """
        with self._lock:
            changes = self._changes
            _check_rows(changes, rows)
            alive = changes.alive.copy()
            alive[rows] = False
            kept = np.isin(changes.rows, rows, invert=True)
            self._set(alive, changes.rows[kept], changes.vectors[kept])

    def search(
        self,
        queries: Float[NDArray[np.float32], "b dim"],
        k: int,
        exclude: Sequence[NDArray[np.int64]] | None = None,
        allow: Mask | None = None,
    ) -> Found:
        """The `k` best rows with an item, of the large index and the changes to it.

        Args, returns and raises as :meth:`aisle.index.base.Index.search`; `allow` has a place for every row.
        """
        changes = self._changes
        check_search(queries, k, exclude, allow, (len(changes.alive), self.dim))
        n = len(changes.current)
        excluded = unwanted(exclude, len(queries), len(changes.alive))
        current = None if changes.current.all() else changes.current
        allowed = allow
        if allow is not None:
            allowed = allow[..., :n] if current is None else allow[..., :n] & current
        old = self.base.search(
            queries, k, [rows[rows < n] for rows in excluded], allowed if allow is not None else current
        )
        if changes.small is None:
            return old
        own = [_places(changes.rows, rows) for rows in excluded]
        scores, places = changes.small.search(
            queries, k, own, None if allow is None else np.ascontiguousarray(allow[..., changes.rows])
        )
        rows = np.where(places == NONE, NONE, changes.rows[places])
        scores, rows = by_score(np.concatenate([old[0], scores], 1), np.concatenate([old[1], rows], 1))
        return np.ascontiguousarray(scores[:, :k]), np.ascontiguousarray(rows[:, :k])

    def _put(self, rows: Rows, vectors: Vectors, alive: Bool[NDArray[np.bool_], " rows"]) -> None:
        check_vectors(vectors)
        if vectors.shape != (len(rows), self.dim):
            found = f"shape {vectors.shape}"
            raise IndexFault(
                f"vectors of shape ({len(rows)}, {self.dim})", found, "use the index's own encoder"
            )
        kept = np.isin(self._changes.rows, rows, invert=True)
        held = np.concatenate([self._changes.rows[kept], rows])
        order = np.argsort(held)
        self._set(alive, held[order], np.concatenate([self._changes.vectors[kept], vectors])[order])

    def _set(
        self,
        alive: Bool[NDArray[np.bool_], " rows"],
        rows: Rows,
        vectors: Float[NDArray[np.float32], "m dim"],
    ) -> None:
        current = alive[: len(self.base)].copy()
        current[rows[rows < len(current)]] = False
        small = ExactIndex(vectors, self.settings) if len(rows) else None
        self._changes = Changes(alive, current, rows, vectors, small)


def save_delta(index: Updated, folder: Path) -> None:
    """Write the changes to `FILE` in an existing folder: whole, or as they were before."""
    changes = index._changes
    deleted = np.flatnonzero(~changes.alive)
    kind = pl.Array(pl.Float32, index.dim)
    table = pl.concat(
        [
            pl.DataFrame({"row": changes.rows, "vector": pl.Series(changes.vectors, dtype=kind)}),
            pl.DataFrame({"row": deleted, "vector": pl.Series([None] * len(deleted), dtype=kind)}),
        ]
    )
    content = BytesIO()
    table.write_parquet(content)
    write_whole(folder / FILE, content.getvalue())


def load_delta(base: Index, folder: Path, settings: IndexSettings) -> Updated:
    """A large index with the changes of a folder; without any where the folder has none.

    Args:
        base: the index that the changes were made to.
        folder: where :func:`save_delta` wrote.
        settings: metric of the large index.

    Raises:
        IndexFault: the file cannot be read, or its changes are of another index.
    """
    index = Updated(base, settings)
    if not (folder / FILE).is_file():
        return index
    expected = pl.Schema({"row": pl.Int64(), "vector": pl.Array(pl.Float32, base.dim)})
    try:
        table = pl.read_parquet(folder / FILE, use_pyarrow=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise IndexFault("changes of an index", f"{folder / FILE}: {error}", "rebuild the index") from error
    rows = table["row"].to_numpy() if table.schema == expected else np.array([-1])
    size = max(len(base), int(rows.max(initial=-1)) + 1)
    given = np.concatenate([np.arange(len(base)), rows])
    if (
        table.schema != expected
        or (rows < 0).any()
        or len(np.unique(rows)) != len(rows)
        or (len(np.unique(given)) != size)
    ):
        found = f"{folder / FILE} with {table.schema}"
        raise IndexFault(f"changes to {len(base)} rows of {base.dim} numbers", found, "rebuild the index")
    alive = np.ones(size, np.bool_)
    alive[table.filter(pl.col("vector").is_null())["row"].to_numpy()] = False
    held = table.drop_nulls().sort("row")
    vectors = held["vector"].to_numpy().astype(np.float32).reshape(len(held), base.dim)
    if len(held):
        check_vectors(vectors)
    index._set(alive, held["row"].to_numpy(), vectors)
    return index


def _merged(
    changes: Changes, base: Vectors, small: Float[NDArray[np.float32], "m dim"]
) -> Float[NDArray[np.float32], "rows dim"]:
    """Vectors of all rows: the large index's, but for changed rows; zeros in those of deleted items."""
    merged = np.zeros((len(changes.alive), base.shape[1]), np.float32)
    merged[: len(changes.current)] = base
    merged[~changes.alive] = 0
    merged[changes.rows] = small
    return merged


def _check_rows(changes: Changes, rows: Rows) -> None:
    """Whether rows are different and have items.

    Raises:
        IndexFault: not so.
    """
    n = len(changes.alive)
    inside = rows[(rows >= 0) & (rows < n)]
    if len(inside) < len(rows) or not changes.alive[inside].all() or len(np.unique(rows)) != len(rows):
        found = f"{len(rows)} rows, {int(changes.alive[np.unique(inside)].sum())} different ones with an item"
        raise IndexFault("different rows that have an item", found, "leave out the others")


def _places(held: Rows, rows: Int[NDArray[np.int64], " _"]) -> Int[NDArray[np.int64], " _"]:
    """Positions in ascending `held` of those of `rows` that are in it."""
    return np.flatnonzero(np.isin(held, rows))
