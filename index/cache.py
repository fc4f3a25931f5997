"""Vectors of texts, kept by the content of the text: nothing is encoded twice.

A folder of Arrow files, each named by the SHA-256 of its bytes. Files are never changed: a block of new
vectors is a new file, under its name once it is whole, so that a killed job finds there what it had done. A
file whose content does not fit its name is passed over, and its texts are encoded again.
"""

import hashlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.ipc
from jaxtyping import Bool, Float
from numpy.typing import NDArray

from aisle.checksum import file_sha256
from aisle.durable import sync

log = logging.getLogger(__name__)

MOST_PARTS = 16
"""Files above which they are made one."""

KEY_BYTES = 32


def key_of(text: str) -> bytes:
    """Key of a text: its SHA-256."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


class VectorCache:
    """Vectors in a folder that belongs to one encoder.

    Args:
        folder: made if need be, and checked: every file is read once.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(".*.new"):
            left.unlink()
        self._parts: dict[Path, Float[NDArray[np.float32], "n dim"]] = {}
        self._places = pl.DataFrame(schema=PLACES)
        for path in sorted(folder.glob("*.arrow")):
            if file_sha256(path) == path.stem:
                self._open(path)
            else:
                log.warning("%s has changed since it was written: its texts are encoded again", path)
                path.unlink()

    def __len__(self) -> int:
        return self._places["key"].n_unique()

    @property
    def dim(self) -> int | None:
        """Length of a vector; None while there is none."""
        return next((vectors.shape[1] for vectors in self._parts.values()), None)

    def get(
        self, keys: Sequence[bytes]
    ) -> tuple[Float[NDArray[np.float32], "n dim"], Bool[NDArray[np.bool_], " n"]]:
        """Vectors of some texts, and which of them are here; the rows of the others are zero."""
        wanted = pl.DataFrame({"key": pl.Series(keys, dtype=pl.Binary)}).with_row_index("wanted")
        places = self._places.unique("key", keep="first", maintain_order=True)
        found = wanted.join(places, on="key", maintain_order="left")
        vectors = np.zeros((len(keys), self.dim or 0), np.float32)
        for number, part in enumerate(self._parts.values()):
            here = found.filter(pl.col("part") == number)
            vectors[here["wanted"].to_numpy()] = part[here["row"].to_numpy()]
        known = np.zeros(len(keys), np.bool_)
        known[found["wanted"].to_numpy()] = True
        return vectors, known

    def put(self, keys: Sequence[bytes], vectors: Float[NDArray[np.float32], "n dim"]) -> None:
        """Keep vectors for good: they are on the disk when this returns."""
        self._open(self._write(keys, vectors))

    def settle(self, used: Sequence[bytes]) -> None:
        """Make many files one, without vectors that are not `used`, where that is worth the writing."""
        distinct = list(dict.fromkeys(used))
        if len(self._parts) <= MOST_PARTS and len(self._places) <= 2 * len(distinct):
            return
        vectors, known = self.get(distinct)
        earlier = list(self._parts)
        kept = self._write([key for key, here in zip(distinct, known, strict=True) if here], vectors[known])
        self._parts, self._places = {}, pl.DataFrame(schema=PLACES)
        for path in earlier:
            if path != kept:
                path.unlink()
        self._open(kept)

    def _write(self, keys: Sequence[bytes], vectors: Float[NDArray[np.float32], "n dim"]) -> Path:
        flat = pa.array(np.ascontiguousarray(vectors, np.float32).ravel())
        columns = {
            "key": pa.array(keys, pa.binary(KEY_BYTES)),
            "vector": pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1]),
        }
        table = pa.table(columns)
        fresh = self.folder / f".{os.getpid()}.new"
        with pa.OSFile(str(fresh), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        sync(fresh)
        path = self.folder / f"{file_sha256(fresh)}.arrow"
        fresh.replace(path)
        sync(self.folder)
        return path

    def _open(self, path: Path) -> None:
        if path in self._parts:
            return
        table = pa.ipc.open_file(pa.memory_map(str(path))).read_all().combine_chunks()
        if not len(table):
            return
        keys = pl.Series("key", table.column("key").cast(pa.binary()), dtype=pl.Binary)
        chunk = table.column("vector").chunk(0)
        rows = {"part": np.full(len(table), len(self._parts)), "row": np.arange(len(table))}
        self._places = pl.concat([self._places, pl.DataFrame({"key": keys, **rows}, schema=PLACES)])
        self._parts[path] = chunk.flatten().to_numpy().reshape(len(table), -1)


PLACES = pl.Schema({"key": pl.Binary(), "part": pl.Int64(), "row": pl.Int64()})
