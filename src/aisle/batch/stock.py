"""What is in stock: a list of ids, or a column of a table of items."""

from collections.abc import Callable
from pathlib import Path

import polars as pl

from aisle.data.errors import InputError
from aisle.data.ids import Ids

READERS: dict[str, Callable[[Path], pl.DataFrame]] = {
    ".parquet": pl.read_parquet,
    ".csv": lambda path: pl.read_csv(path, infer_schema=False),  # an id 00123 is no number
    ".jsonl": lambda path: pl.read_ndjson(path, infer_schema_length=None),
    ".ndjson": lambda path: pl.read_ndjson(path, infer_schema_length=None),
}


def read_stock(path: Path, column: str | None, items: Ids) -> pl.Series:
    """Ids of the items of a catalogue that are in stock, in its order.

    Args:
        path: Parquet, CSV or JSON lines with `item_id`.
        column: tells by a number above 0, or by `true`, that a row's item is in stock; None: all rows are.
        items: of the catalogue; ids that it does not have are passed over.

    Raises:
        InputError: the table cannot be read, lacks a column, or leaves nothing in stock.
    """
    wanted = ["item_id", *([column] if column else [])]
    form = f"a table with {' and '.join(wanted)} (Parquet, CSV, JSON lines)"
    try:
        table = READERS[path.suffix.lower()](path)
        found = table.select(wanted)
        if column is not None:
            found = found.filter(_told(found[column]).fill_null(False))
    except KeyError:
        raise InputError(form, f"{path}", "check --stock") from None
    except (OSError, pl.exceptions.PolarsError) as error:
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(form, f"{path}: {said}", "check --stock and --stock-column") from None
    ids = items.values.filter(items.values.is_in(found["item_id"].cast(pl.String).implode()))
    if not len(ids):
        raise InputError("items in stock", f"none of {path} is in the catalogue", "check the ids")
    return ids.alias("item_id")


def _told(column: pl.Series) -> pl.Series:
    """Whether each row's item is in stock: a number above 0, or true."""
    if column.dtype == pl.Boolean:
        return column
    if column.dtype == pl.String:
        words = {"true": "1", "false": "0"}
        lowered = column.str.strip_chars().str.to_lowercase()
        column = lowered.replace(words).replace("", None)
    return column.cast(pl.Float64) > 0
