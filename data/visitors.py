"""Users of this moment: events that a prepared shop does not hold, on its catalogue or a longer one."""

from dataclasses import dataclass, field
from functools import cached_property

import polars as pl

from aisle.data.errors import InputError
from aisle.data.prepared import Part, Prepared
from aisle.data.schema import EVENTS


@dataclass(frozen=True)
class Visitors(Prepared):
    """A shop whose users are those of `given`; all of their events are past.

    Attributes:
        given: canonical events (:func:`events_of`).
        catalogue: items; those of the prepared shop where absent.
    """

    given: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=EVENTS))
    catalogue: pl.DataFrame | None = None

    @cached_property
    def items(self) -> pl.DataFrame:
        """The catalogue, one row an item row."""
        return pl.read_parquet(self.folder / "items.parquet") if self.catalogue is None else self.catalogue

    def events(self, *parts: Part) -> pl.LazyFrame:
        """The given events, whatever the parts."""
        return self.given.lazy()


def events_of(found: pl.DataFrame, default_kind: str) -> pl.DataFrame:
    """Canonical events from a table with some of their columns, oldest first for each user.

    Args:
        found: at least `user_id` and `item_id`; other columns of `EVENTS` where they are known.
        default_kind: kind of all events where no column says it.

    Raises:
        InputError: a column is missing or unknown, or holds something else than it should.
    """
    missing = [name for name in ("user_id", "item_id") if name not in found.columns]
    unknown = [name for name in found.columns if name not in EVENTS]
    if missing or unknown:
        raise InputError(
            f"columns user_id, item_id and any of {', '.join(name for name in EVENTS)}",
            ", ".join(found.columns) or "no column",
            f"add {', '.join(missing)}" if missing else f"rename or drop {', '.join(unknown)}",
        )
    if "kind" not in found.columns:
        found = found.with_columns(kind=pl.lit(default_kind))
    if not {"timestamp", "position"} & set(found.columns):
        found = found.with_columns(position=pl.int_range(pl.len()).over("user_id"))
    absent = [pl.lit(None, dtype=dtype).alias(name) for name, dtype in EVENTS.items() if name not in found]
    try:
        return found.with_columns(absent).select(pl.col(name).cast(dtype) for name, dtype in EVENTS.items())
    except pl.exceptions.PolarsError as error:
        raise InputError(
            "events in the canonical form", str(error).splitlines()[0], "see aisle.data.schema for the types"
        ) from error
