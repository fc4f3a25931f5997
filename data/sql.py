"""Rows of an SQL query as a Parquet file, batch by batch, through ADBC."""

from pathlib import Path
from urllib.parse import urlsplit

import pyarrow
import pyarrow.parquet

from aisle.data.errors import InputError
from aisle.data.progress import meter

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
        InputError: no query, no driver, or the server refuses.
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
            _write(cursor.fetch_record_batch(), path)
    except dbapi.Error as error:
        said = str(error).strip().splitlines()[0]
        raise InputError(
            "rows of an SQL query", f"{_without_password(uri)}: {said}", "check the URI and the query"
        ) from None


def _write(batches: pyarrow.RecordBatchReader, path: Path) -> None:
    with (
        pyarrow.parquet.ParquetWriter(path, batches.schema) as file,
        meter("reading the database") as counter,
    ):
        for batch in batches:
            file.write_batch(batch)
            counter.advance(batch.num_rows)


def _without_password(uri: str) -> str:
    parts = urlsplit(uri)
    place = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{place}{parts.path}"
