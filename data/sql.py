"""Rows of an SQL query as a Parquet file, batch by batch, through ADBC."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow
import pyarrow.parquet

from aisle.data.errors import InputError
from aisle.data.progress import meter
from aisle.data.readers.arrow import plain

SCHEMES = ("postgresql", "postgres")


def is_database(source: str) -> bool:
    """Whether `source` is the URI of a database that can be asked."""
    return source.partition("://")[0] in SCHEMES


def read_query(uri: str, query: str | None, path: Path) -> None:
    """Ask a PostgreSQL server, and write the rows to a Parquet file in bounded memory.

    Args:
        uri: postgresql://user@host:port/database; a password may also come from PGPASSWORD or ~/.pgpass.
        query: SQL; its columns are mapped like those of any file (docs/data.md).
        path: file to write.

    Raises:
        InputError: no query, no driver, the server refuses or fails on the way, or a column is of a type that
            does not say what it means.
    """
    if not query:
        fix = "--query 'select id as item_id, title, ... from products'"
        raise InputError("the query whose rows are the items", "none", fix)
    try:
        from adbc_driver_postgresql import dbapi
    except ImportError:
        fix = "pip install adbc-driver-postgresql"
        raise InputError("ADBC's driver for PostgreSQL", "it is not installed", fix) from None
    try:
        with dbapi.connect(uri) as connection, connection.cursor() as cursor:
            cursor.adbc_statement.set_options(**{"adbc.postgresql.use_copy": "true"})
            cursor.execute(query)
            _write(cursor.fetch_record_batch(), path, uri)
    except dbapi.Error as error:
        raise _refused(uri, error) from None


def _write(batches: pyarrow.RecordBatchReader, path: Path, uri: str) -> None:
    for field in batches.schema:
        if (field.metadata or {}).get(b"POSTGRESQL:type") == b"money":  # comes as a whole number of cents
            raise InputError("prices as numbers", f"{field.name} of type money", f"{field.name}::numeric")
    empty = pyarrow.RecordBatch.from_pylist([], batches.schema)
    with (
        pyarrow.parquet.ParquetWriter(path, plain(empty).schema) as file,
        meter("reading the database") as counter,
    ):
        for batch in _read(batches, uri):
            file.write_batch(plain(batch))
            counter.advance(batch.num_rows)


def _read(batches: pyarrow.RecordBatchReader, uri: str) -> Iterator[pyarrow.RecordBatch]:
    """The batches; what the server says on the way, as ADBC hands it on, becomes an InputError."""
    try:
        yield from batches
    except (OSError, pyarrow.ArrowException) as error:
        raise _refused(uri, error) from None


def _refused(uri: str, error: Exception) -> InputError:
    said = str(error).strip().splitlines()[0]
    found = f"{_without_password(uri)}: {said}"
    return InputError("rows of an SQL query", found, "check the URI and the query")


def _without_password(uri: str) -> str:
    parts = urlsplit(uri)
    place = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{place}{parts.path}"
