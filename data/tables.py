"""Parquet files that are there whole or not at all, and such as grow frame by frame."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import polars as pl
from pyarrow import parquet

from aisle.data.errors import InputError
from aisle.durable import unfinished

ROW_GROUP = 1 << 16
"""Rows that are gathered before they are written."""


def write_table(table: pl.DataFrame, path: Path) -> None:
    """Write a table as Parquet; the file is there whole or not at all.

    Raises:
        InputError: the place is a folder, or there is no folder to write it into.
    """
    if path.is_dir() or not path.parent.is_dir():
        raise InputError("a file to write, in a folder that is there", str(path), "check --out")
    part = unfinished(path)
    table.write_parquet(part)
    part.replace(path)


class TableWriter:
    """A Parquet file to which frames of one schema are appended; whole once closed.

    Polars finds its own types again (an Enum stays an Enum): they travel as metadata of the fields.

    Args:
        path: of the file.
        schema: of the frames.
        says: names and values that the file's own metadata gets.
    """

    def __init__(self, path: Path, schema: pl.Schema, says: Mapping[str, str] | None = None) -> None:
        self.rows = 0
        self._waiting: list[pl.DataFrame] = []
        self._schema = schema
        columns = pl.DataFrame(schema=schema).to_arrow().schema
        floats = [name for name, dtype in schema.items() if dtype.is_float()]
        self._file = parquet.ParquetWriter(
            path,
            columns,
            compression="zstd",
            use_dictionary=[name for name in schema.names() if name not in floats],
            column_encoding=dict.fromkeys(floats, "BYTE_STREAM_SPLIT"),  # scores hardly repeat
        )
        if says:
            self._file.add_key_value_metadata(dict(says))

    def append(self, frame: pl.DataFrame) -> None:
        """Adds the rows of `frame`."""
        self.rows += len(frame)
        self._waiting.append(frame.match_to_schema(self._schema))
        if sum(map(len, self._waiting)) >= ROW_GROUP:
            self._flush()

    def close(self) -> None:
        """Writes what waits, and the end of the file."""
        self._flush()
        self._file.close()

    def _flush(self) -> None:
        if self._waiting:
            self._file.write_table(pl.concat(self._waiting).to_arrow())
            self._waiting = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._file.close()
