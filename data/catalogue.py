"""A shop's items alone: from a file, a folder or an SQL query, cleaned as `prepare` cleans them."""

import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from aisle.data.clean.events import Keys
from aisle.data.clean.items import decide_items, item_keys
from aisle.data.clean.repair import repair_items
from aisle.data.counts import by_reason
from aisle.data.errors import InputError
from aisle.data.prepare import batches
from aisle.data.readers import read_shop
from aisle.data.schema import ITEMS
from aisle.data.settings import DataSettings
from aisle.data.sql import is_database, read_query


@dataclass(frozen=True)
class Catalogue:
    """Items that can be used.

    Attributes:
        items: canonical, each id once.
        rows: how many rows there were.
        rejected: rows that are not used, by reason.
    """

    items: pl.DataFrame
    rows: int
    rejected: Mapping[str, int]

    @property
    def counts(self) -> dict[str, int]:
        """Rows read and rejected, for a record."""
        return {"rows": self.rows} | {f"rejected: {reason}": n for reason, n in self.rejected.items()}


def read_catalogue(source: str, settings: DataSettings, *, query: str | None = None) -> Catalogue:
    """Read the items of a shop.

    Args:
        source: a Parquet, JSON lines or delimited file, a folder of them, or the URI of a database.
        settings: mapping of columns, and cleaning.
        query: for a database: the SQL whose rows are the items.

    Raises:
        InputError: it cannot be read, or no item in it can be used.
    """
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="aisle-catalogue-")))
        place = Path(source)
        if is_database(source):
            place = work / "query.parquet"
            read_query(source, query, place)
        elif query is not None:
            raise InputError("a database for --query", source, "give a URI such as postgresql://host/shop")
        return _read(place, settings, work)


def _read(place: Path, settings: DataSettings, work: Path) -> Catalogue:
    shop = read_shop(place, mapping=settings.mapping, work=work)
    keys = Keys()
    rows = pl.concat(item_keys(batch, keys) for batch in batches(shop, "items", "reading items"))
    nobody = pl.DataFrame(schema={"item": pl.UInt32})
    reasons = decide_items(rows, nobody, 0)
    kept, start = [], 0
    for batch in batches(shop, "items", "cleaning items"):
        fine = reasons[start : start + len(batch)].is_null()
        kept.append(repair_items(batch.filter(fine).select(ITEMS.names()), settings.clean)[0])
        start += len(batch)
    items = pl.concat(kept)
    if not len(items):
        found = ", ".join(f"{n} x {reason}" for reason, n in by_reason(reasons).items()) or "no rows of items"
        raise InputError("items that can be used", f"{place.name}: {found}", "check the columns")
    return Catalogue(items, len(rows), by_reason(reasons))
