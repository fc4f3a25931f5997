"""Users of this moment, and items that came later: what a prepared shop does not hold."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

import polars as pl

from aisle.data.errors import InputError
from aisle.data.ids import Ids
from aisle.data.prepared import BEFORE, Part, Prepared
from aisle.data.schema import EVENTS, ITEMS

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, eq=False)
class Longer(Prepared):
    """A prepared shop with items behind its own, which none of its events names.

    Attributes:
        more: canonical items (:func:`items_of`).
    """

    more: pl.DataFrame

    @classmethod
    def of(cls, shop: Prepared, more: pl.DataFrame) -> "Longer":
        """A shop, which may be longer already, with more items."""
        return cls(shop.folder, pl.concat([shop.more, more]) if isinstance(shop, Longer) else more)

    @cached_property
    def items(self) -> pl.DataFrame:
        """The shop's catalogue, and the new items."""
        return pl.concat([pl.read_parquet(self.folder / "items.parquet"), self.more])


@dataclass(frozen=True, eq=False)
class Visitors(Prepared):
    """Users of `given` on the catalogue of `shop`; all of their events are past, whatever the part.

    Attributes:
        given: canonical events (:func:`events_of`).
        shop: whose catalogue and reviews these are.
        asked: microseconds since 1970 at which they ask.
        named: ids of the users, also those without any event; all users of `given` unless told.
    """

    given: pl.DataFrame
    shop: Prepared
    asked: int | None
    named: tuple[str, ...] | None = None

    @cached_property
    def user_ids(self) -> Ids:
        """The visitors: as named, or in sorted order."""
        return super().user_ids if self.named is None else Ids(self.named)

    @property
    def moment(self) -> int | None:
        """When they ask."""
        return self.asked

    @property
    def timed(self) -> bool:
        """Whether the shop's events and all that are given have times."""
        return self.shop.timed and not self.given["timestamp"].null_count()

    @property
    def split_by_time(self) -> bool:
        """Whether it is told how long ago the last event was."""
        return self.shop.split_by_time and self.timed

    @property
    def items(self) -> pl.DataFrame:
        """The shop's catalogue."""
        return self.shop.items

    @property
    def item_ids(self) -> Ids:
        """The shop's items."""
        return self.shop.item_ids

    def events(self, *parts: Part) -> pl.LazyFrame:
        """The given events."""
        return self.given.lazy()

    def reviews(self, *parts: Part) -> pl.LazyFrame:
        """Those of the shop: visitors do not describe its items."""
        return self.shop.reviews(*parts)

    def truth(self, part: Part) -> pl.DataFrame:
        """Nobody knows yet."""
        raise InputError("a part of a prepared shop", "visitors, whose events are all past", "ask the shop")


def last_moment(shop: Prepared) -> int | None:
    """When the last event before the test part happened, in microseconds since 1970; None without times."""
    last = shop.events(*BEFORE["test"]).select(pl.col("timestamp").dt.timestamp("us").max()).collect().item()
    return None if last is None else int(last)


def moment_of(now: datetime) -> int:
    """Microseconds since 1970.

    Raises:
        InputError: `now` has no time zone.
    """
    if now.tzinfo is None:
        raise InputError("a moment with a time zone", str(now), "use datetime.now(UTC)")
    return round((now - EPOCH).total_seconds() * 10**6)


def events_of(found: pl.DataFrame, default_kind: str) -> pl.DataFrame:
    """Canonical events from a table with some of their columns, oldest first for each user.

    Args:
        found: at least `user_id` and `item_id`; other columns of `EVENTS` where they are known.
        default_kind: kind of all events where no column says it.

    Raises:
        InputError: a column is missing or unknown, or holds something else than it should.
    """
    if "timestamp" in found.columns and found["timestamp"].dtype.is_integer():
        fix = 'make them times: pl.from_epoch("timestamp", time_unit="s").dt.replace_time_zone("UTC")'
        raise InputError("timestamps as times", f"whole numbers ({found['timestamp'].dtype})", fix)
    if "kind" not in found.columns:
        found = found.with_columns(kind=pl.lit(default_kind))
    if not {"timestamp", "position"} & set(found.columns) and "user_id" in found.columns:
        found = found.with_columns(position=pl.int_range(pl.len()).over("user_id"))
    return _canonical(found, EVENTS, ("user_id", "item_id"))


def items_of(found: pl.DataFrame) -> pl.DataFrame:
    """Canonical items from a table with some of their columns.

    Args:
        found: at least `item_id`; other columns of `ITEMS` where they are known.

    Raises:
        InputError: a column is missing or unknown, or holds something else than it should.
    """
    return _canonical(found, ITEMS, ("item_id",))


def _canonical(found: pl.DataFrame, schema: pl.Schema, needed: tuple[str, ...]) -> pl.DataFrame:
    missing = [name for name in needed if name not in found.columns]
    unknown = [name for name in found.columns if name not in schema]
    if missing or unknown:
        raise InputError(
            f"columns {', '.join(needed)} and any of {', '.join(schema)}",
            ", ".join(found.columns) or "no column",
            f"add {', '.join(missing)}" if missing else f"rename or drop {', '.join(unknown)}",
        )
    absent = [pl.lit(None, dtype=dtype).alias(name) for name, dtype in schema.items() if name not in found]
    try:
        return found.with_columns(absent).select(pl.col(name).cast(dtype) for name, dtype in schema.items())
    except pl.exceptions.PolarsError as error:
        raise InputError(
            "columns in the canonical form", str(error).splitlines()[0], "aisle.data.schema lists the types"
        ) from error
