"""Parquet files, scanned lazily: source columns brought to the staged form as polars expressions."""

import builtins
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from aisle.data.errors import InputError
from aisle.data.mapping import FileMapping
from aisle.data.readers.canonical import canonical
from aisle.data.readers.shapes import DTYPES, SHAPES, picker
from aisle.data.readers.staging import Tally

MAGIC = b"PAR1"
DAMAGED = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, builtins.OverflowError)
"""What polars raises for a Parquet file that is none, or not whole."""


def parquet_columns(path: Path) -> list[str]:
    """Names of the columns of a Parquet file.

    Raises:
        InputError: it is no Parquet file, or a damaged one.
    """
    return list(_schema(path))


def scan(path: Path, mapping: FileMapping, tally: Tally) -> pl.LazyFrame:
    """Canonical rows of a Parquet file; the row number takes the place of the line.

    Reads the file once, in batches, to know that all of it can be read and what is wrong with its rows.

    Raises:
        InputError: the file is damaged, or what :meth:`Tally.check` raises.
    """
    schema = _schema(path)
    rows = pl.scan_parquet(path, row_index_name="row", row_index_offset=1, glob=False)
    staged = rows.select(
        pl.col("row"),
        pl.lit(None, pl.String).alias("problem"),
        *(_staged(name, mapping.sources(name), schema).alias(name) for name in mapping.columns),
    )
    if mapping.first_per_item:
        tally.repeats = _height(staged)
        staged = staged.filter(pl.col("item_id").is_first_distinct())
    frame = canonical(staged, mapping, path.name)
    try:
        for batch in frame.collect_batches(engine="streaming", maintain_order=False):
            tally.count(batch)
    except DAMAGED as error:
        raise _damaged(path, error) from None
    if mapping.first_per_item:
        tally.repeats -= tally.rows
    tally.check()
    return frame.drop("unread")


def _schema(path: Path) -> pl.Schema:
    try:
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise InputError(
                    "a Parquet file", f"{path.name} does not begin like one", "check the file, or its name"
                )
        return pl.scan_parquet(path, glob=False).collect_schema()
    except DAMAGED as error:
        raise _damaged(path, error) from None


def _height(frame: pl.LazyFrame) -> int:
    return int(frame.select(pl.len()).collect(engine="streaming").item())


def _damaged(path: Path, error: BaseException) -> InputError:
    said = str(error).splitlines()[0] if str(error) else type(error).__name__
    return InputError("a whole Parquet file", f"{path.name}: {said}", "write or fetch the file again")


def _staged(canonical_name: str, sources: Sequence[str], schema: pl.Schema) -> pl.Expr:
    """The staged column of a canonical column: simple types as expressions, nested ones value by value."""
    shape = SHAPES.get(canonical_name, "first")
    if shape in ("list", "pairs") or not all(_is_plain(source, schema) for source in sources):
        return _by_value(canonical_name, sources, schema)
    if len(sources) == 1:
        return _plain(sources[0], schema)
    texts = [pl.when(text.str.strip_chars() != "").then(text) for text in (_text(s, schema) for s in sources)]
    return (
        pl.concat_str(texts, separator="\n", ignore_nulls=True) if shape == "joined" else pl.coalesce(texts)
    )


def _is_plain(source: str, schema: pl.Schema) -> bool:
    return source in schema and not schema[source].is_nested() and schema[source] != pl.Object


def _plain(source: str, schema: pl.Schema) -> pl.Expr:
    dtype = schema[source]
    if dtype.is_decimal():
        return pl.col(source).cast(pl.Float64)
    return pl.col(source) if dtype.is_numeric() or dtype.is_temporal() else _text(source, schema)


def _text(source: str, schema: pl.Schema) -> pl.Expr:
    dtype = schema[source]
    if dtype.is_float():
        whole = pl.col(source).cast(pl.Int64, strict=False)
        return pl.coalesce(
            pl.when(whole == pl.col(source)).then(whole).cast(pl.String), pl.col(source).cast(pl.String)
        )
    return pl.col(source).cast(pl.String, strict=False)


def _by_value(canonical_name: str, sources: Sequence[str], schema: pl.Schema) -> pl.Expr:
    """A staged column made by the same function that makes it for text files."""
    pick: Callable[[dict[str, Any]], Any] = picker(canonical_name, sources)
    dtype = DTYPES[SHAPES.get(canonical_name, "first")]
    columns = dict.fromkeys(source if source in schema else source.split(".")[0] for source in sources)

    def picked(records: pl.Series) -> pl.Series:
        return pl.Series(records.name, [pick(record) for record in records.to_list()], dtype)

    return pl.struct(*columns).map_batches(picked, return_dtype=dtype, is_elementwise=True)
