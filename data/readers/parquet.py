"""Parquet files: source columns brought to the staged form as polars expressions."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import polars as pl
import pyarrow
import pyarrow.parquet

from aisle.data.errors import InputError
from aisle.data.mapping import FileMapping
from aisle.data.progress import meter
from aisle.data.readers.arrow import plain
from aisle.data.readers.shapes import DTYPES, SHAPES, picker
from aisle.data.readers.staging import Stage, Tally

BATCH_ROWS = 1 << 16


def parquet_columns(path: Path) -> list[str]:
    """Names of the columns of a Parquet file.

    Raises:
        InputError: it is no Parquet file, or a damaged one.
    """
    with whole(path, path.name) as file:
        return list(file.schema_arrow.names)


def stage_parquet(path: Path, mapping: FileMapping, folder: Path, tally: Tally) -> pl.LazyFrame:
    """Canonical rows of a Parquet file; the row number takes the place of the line.

    Read batch by batch by Arrow and staged like text, not scanned in place: polars ends the process over some
    damaged files, where Arrow raises.

    Raises:
        InputError: the file is damaged, or what :meth:`Tally.check` raises.
    """
    stage = Stage(folder, mapping, tally)
    row = 1
    with whole(path, path.name) as file, meter(f"reading {path.name}", file.metadata.num_rows) as counter:
        names = used_columns(file.schema_arrow.names, mapping)
        for batch in file.iter_batches(BATCH_ROWS, columns=names):
            batch.validate(full=True)
            frame = frame_of(batch).with_row_index("row", offset=row)
            stage.write(staged(frame.lazy(), mapping))
            row += frame.height
            counter.advance(frame.height)
    return stage.finish()


def used_columns(names: Sequence[str], mapping: FileMapping) -> list[str]:
    """The columns of a file that a mapping reads, whole or in part."""
    used = {source for name in mapping.columns for source in mapping.sources(name)}
    return [name for name in names if used & {name, *_below(name, used)}]


def staged(rows: pl.LazyFrame, mapping: FileMapping) -> pl.LazyFrame:
    """The columns that a mapping names, in their staged form, with `row` and `problem`."""
    schema = rows.collect_schema()
    return rows.select(
        pl.col("row"),
        pl.lit(None, pl.String).alias("problem"),
        *(_column(name, mapping.sources(name), schema).alias(name) for name in mapping.columns),
    )


def frame_of(batch: pyarrow.RecordBatch) -> pl.DataFrame:
    """A batch as polars has it, in types that it can bring to text."""
    try:
        return pl.DataFrame(pl.from_arrow(plain(batch)))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise pyarrow.ArrowInvalid(str(error)) from None


@contextmanager
def whole(source: Path | BinaryIO, name: str) -> Iterator[pyarrow.parquet.ParquetFile]:
    """A Parquet file, opened; what is found damaged while it is read becomes an InputError."""
    try:
        with pyarrow.parquet.ParquetFile(source) as file:
            yield file
    except (pyarrow.ArrowException, OSError, OverflowError, UnicodeDecodeError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError("a whole Parquet file", f"{name}: {said}", "write or fetch the file again") from None


def _below(name: str, paths: Iterable[str]) -> list[str]:
    """The paths that lead into the column `name`."""
    return [path for path in paths if path.startswith(name + ".")]


def _column(canonical_name: str, sources: Sequence[str], schema: pl.Schema) -> pl.Expr:
    """The staged column of a canonical column: simple types as expressions, nested ones value by value."""
    shape = SHAPES.get(canonical_name, "first")
    if shape == "list" and len(sources) == 1 and schema.get(sources[0]) == pl.List(pl.String):
        return _texts(canonical_name, sources[0], schema)
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


def _texts(canonical_name: str, source: str, schema: pl.Schema) -> pl.Expr:
    """A staged list of texts out of one: the filled ones, unless a text may be a list itself."""
    pick: Callable[[dict[str, Any]], Any] = picker(canonical_name, [source])

    def picked(lists: pl.Series) -> pl.Series:
        if lists.list.explode().str.starts_with("[").any():
            return pl.Series(lists.name, [pick({source: one}) for one in lists.to_list()], lists.dtype)
        filled = pl.element().filter(pl.element().str.strip_chars() != "")
        return lists.list.eval(filled).fill_null([])

    return pl.col(source).map_batches(picked, return_dtype=schema[source], is_elementwise=True)


def _by_value(canonical_name: str, sources: Sequence[str], schema: pl.Schema) -> pl.Expr:
    """A staged column made by the same function that makes it for text files."""
    pick: Callable[[dict[str, Any]], Any] = picker(canonical_name, sources)
    dtype = DTYPES[SHAPES.get(canonical_name, "first")]
    columns = dict.fromkeys(source if source in schema else source.split(".")[0] for source in sources)

    def picked(records: pl.Series) -> pl.Series:
        return pl.Series(records.name, [pick(record) for record in records.to_list()], dtype)

    return pl.struct(*columns).map_batches(picked, return_dtype=dtype, is_elementwise=True)
