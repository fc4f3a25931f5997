"""What is in stock: a list of ids, or a column of a table of items."""

from collections.abc import Callable
from pathlib import Path

import polars as pl

from aisle.data.errors import InputError
from aisle.data.ids import Ids

READERS: dict[str, Callable[[Path], pl.DataFrame]] = {
    ".parquet": pl.read_parquet,
    ".csv": pl.read_csv,
    ".jsonl": pl.read_ndjson,
    ".ndjson": pl.read_ndjson,
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
            value = pl.col(column)
            told = value if found[column].dtype == pl.Boolean else value.cast(pl.Float64) > 0
            found = found.filter(told.fill_null(False))
    except KeyError:
        raise InputError(form, f"{path}", "check --stock") from None
    except (OSError, pl.exceptions.PolarsError) as error:
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(form, f"{path}: {said}", "check --stock and --stock-column") from None
    ids = items.values.filter(items.values.is_in(found["item_id"].cast(pl.String).implode()))
    if not len(ids):
        raise InputError("items in stock", f"none of {path} is in the catalogue", "check the ids")
    return ids.alias("item_id")
