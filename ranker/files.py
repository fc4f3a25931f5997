"""Lists to rank, from files."""

from pathlib import Path

import polars as pl

from aisle.data.errors import InputError


def read_lists(path: Path) -> pl.LazyFrame:
    """A Parquet file with user_id, history and candidates, lazily.

    Raises:
        InputError: it cannot be read.
    """
    try:
        table = pl.scan_parquet(path)
        table.collect_schema()
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(
            "a Parquet file with user_id, history and candidates",
            f"{path}: {str(error).splitlines()[0]}",
            "check --candidates",
        ) from error
    return table
