"""Lists to rank from files, and runs to files."""

from pathlib import Path

import polars as pl

from aisle.data.errors import InputError
from aisle.durable import unfinished


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


def write_run(run: pl.DataFrame, path: Path) -> None:
    """Write a run as Parquet; the file is there whole or not at all.

    Raises:
        InputError: the place is a folder, or there is no folder to write it into.
    """
    if path.is_dir() or not path.parent.is_dir():
        raise InputError("a file to write, in a folder that is there", str(path), "check --out")
    part = unfinished(path)
    run.write_parquet(part)
    part.replace(path)
