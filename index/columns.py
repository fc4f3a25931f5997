"""Ids, texts and vectors of an index as files mapped into memory: opened at once, shared by processes."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute
import pyarrow.ipc
from jaxtyping import Float, Int
from numpy.typing import NDArray

from aisle.index.errors import IndexFault

ID, TEXT = "item_id", "text"
"""Names of columns."""

LONGEST_HEADER = 1 << 16
"""Bytes of a safetensors header that are believed; ours have about a hundred."""


class TextColumn:
    """A text of each row, such as its external id, read where it is asked for.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "ids.arrow"
    >>> write_texts(pl.Series(["a", "b", "c"]), path, ID)
    >>> TextColumn(path, ID).of(np.array([2, 0]))
    ['c', 'a']
    """

    def __init__(self, path: Path, name: str) -> None:
        try:
            table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
            column = table.column(name)
        except (pa.ArrowException, OSError, KeyError) as error:
            raise IndexFault(f"{name} as Arrow wrote it", f"{path}: {error}", "rebuild the index") from None
        if column.type != pa.large_string() or column.null_count:
            found = f"{column.type} with {column.null_count} nulls"
            raise IndexFault(f"{name} as text, none missing", f"{path}: {found}", "rebuild the index")
        self._name, self._column = name, column

    def __len__(self) -> int:
        return len(self._column)

    def of(self, rows: Int[NDArray[np.int64], " n"]) -> list[str]:
        """Texts of some rows, in their order."""
        return [str(value) for value in pa.compute.take(self._column, pa.array(rows)).to_pylist()]

    def series(self) -> pl.Series:
        """All of them, in memory."""
        return pl.Series(self._name, self._column)


def write_texts(texts: pl.Series, path: Path, name: str) -> None:
    """Write a column of texts, one batch, uncompressed: what is mapped is what is used."""
    column = texts.cast(pl.String).to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.large_string())
    table = pa.table({name: column}).combine_chunks()
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def write_vectors(vectors: Float[NDArray[np.float32], "n dim"], path: Path) -> None:
    """Write a matrix as safetensors, one float32 tensor `vectors`, without a copy in memory."""
    with path.open("wb") as file:
        file.write(header(*vectors.shape))
        file.write(np.ascontiguousarray(vectors, "<f4").data)


def header(rows: int, dim: int) -> bytes:
    """What stands before the numbers in a safetensors file of one float32 tensor, `vectors`."""
    tensor = {"dtype": "F32", "shape": [rows, dim], "data_offsets": [0, 4 * rows * dim]}
    text = json.dumps({"vectors": tensor}).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def read_vectors(path: Path) -> Float[NDArray[np.float32], "n dim"]:
    """The matrix in a safetensors file, mapped into memory and not to be written.

    Raises:
        IndexFault: the file is not what :func:`write_vectors` writes.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = file.read(length) if length <= LONGEST_HEADER else b""
    try:
        tensor = json.loads(header)["vectors"]
        rows, dim = (int(number) for number in tensor["shape"])
        whole = tensor["dtype"] == "F32" and rows > 0 and dim > 0 and size == 8 + len(header) + 4 * rows * dim
    except (ValueError, KeyError, TypeError, OverflowError):
        whole = False
    if not whole:
        found = f"{path}: {size:,} bytes that are something else"
        raise IndexFault("a matrix in safetensors, float32", found, "rebuild the index")
    return np.memmap(path, "<f4", "r", offset=8 + len(header), shape=(rows, dim))
