"""Which events stay, decided on narrow frames."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aisle.data.clean.duplicates import repeated_events, repeated_words
from aisle.data.clean.kcore import ITEM_TOO_RARE, KEPT, USER_TOO_RARE, k_core
from aisle.data.clean.machines import machine_events
from aisle.data.clean.rows import event_reason
from aisle.data.schema import KINDS, Kind
from aisle.data.settings import CleanSettings

Order = Literal["time", "position"]

NO_DATE = "no date, where others have one"
NO_POSITION = "no position, where others have one"
DUPLICATE_EVENT = "duplicate event"
DUPLICATE_REVIEW = "duplicate review"
MACHINE = "user active like a machine"
RARE_USER = "user with fewer than {} events"
RARE_ITEM = "item with fewer than {} events"


class Keys:
    """Narrow rows for wide ones: codes for ids and reasons, a hash for the text.

    A code is the place of a string among those seen so far; codes of one `Keys` can be compared. The hash
    has 64 bits: among 10 million texts, the chance that any two different ones share it is below 1 in
    300,000, and it only matters if user, item, kind and moment are the same as well.
    """

    def __init__(self) -> None:
        self.users, self.items, self.reasons = (
            pl.Categorical(pl.Categories.random(physical=pl.UInt32)) for _ in range(3)
        )
        # Polars forgets the strings, and gives their codes away again, once no column has the type.
        self._keep = [pl.Series([], dtype=codes) for codes in (self.users, self.items, self.reasons)]

    def of_events(self, events: pl.DataFrame, settings: CleanSettings, latest: datetime) -> pl.DataFrame:
        """One narrow row for each event, in order.

        Columns: user, item (UInt32; item null for searches), kind (UInt8), timestamp (Int64, microseconds
        since 1970), position (Int64), text (UInt64 hash, null where there is none), reason (Categorical, null
        where the row by itself is fine).
        """
        return events.select(
            user=pl.col("user_id").cast(self.users).to_physical(),
            item=pl.col("item_id").cast(self.items).to_physical(),
            kind=pl.col("kind").to_physical().cast(pl.UInt8),
            timestamp=pl.col("timestamp").dt.timestamp("us"),
            position="position",
            text=pl.when(pl.col("text").is_not_null()).then(pl.col("text").hash()),
            reason=event_reason(settings.earliest, latest).cast(self.reasons),
        )


@dataclass(frozen=True)
class Kept:
    """Events that stay, and why the others do not.

    Attributes:
        events: one row for each event that stays, sorted by user and time, ties in the order of the input:
            row (position in the input), user, item, kind, time (microseconds since 1970, or the position).
        reasons: Categorical (n_events of the input), null for those that stay.
        order: what `time` is.
    """

    events: pl.DataFrame
    reasons: pl.Series
    order: Order


class Sieve:
    """Events that are left, and the rows of those that are not."""

    def __init__(self, events: pl.DataFrame) -> None:
        self.events = events
        self.rejected: list[tuple[pl.Series, str]] = []

    def reject(self, reasons: Mapping[str, NDArray[np.bool_]]) -> None:
        """Takes out the events that are marked under a reason, bool (n_events) each, no event under two."""
        left = np.ones(len(self.events), bool)
        for reason, wrong in reasons.items():
            self.rejected.append((self.events["row"].filter(pl.Series(wrong)), reason))
            left &= ~wrong
        self.events = self.events.filter(pl.Series(left))

    def reject_duplicates(self, again: NDArray[np.bool_]) -> None:
        """Takes out the events marked in `again`, reviews apart from others."""
        review = self.of_kind("review")
        self.reject({DUPLICATE_REVIEW: again & review, DUPLICATE_EVENT: again & ~review})

    def of_kind(self, kind: Kind) -> NDArray[np.bool_]:
        """Which events are of this kind, bool (n_events)."""
        return (self.events["kind"] == KINDS.index(kind)).to_numpy()


def decide(keys: pl.DataFrame, settings: CleanSettings) -> Kept:
    """Which of the events behind `keys` (see :meth:`Keys.of_events`) stay.

    Where at least as many events have a date as have only a position, dates make the order, else positions;
    events without what makes the order are rejected. Where none has either, the order of the input does.
    """
    sieve = Sieve(keys.with_row_index("row").filter(pl.col("reason").is_null()).drop("reason"))
    order = _put_in_order(sieve)
    again = repeated_events(sieve.events)
    sieve.reject_duplicates(again if order == "time" else again | repeated_words(sieve.events))
    sieve.events = sieve.events.drop("text")
    if order == "time":
        user, time = sieve.events["user"].to_numpy(), sieve.events["time"].to_numpy()
        sieve.reject({MACHINE: machine_events(user, time, sieve.of_kind("purchase"), settings)})
    if settings.min_user_events or settings.min_item_events:
        fate = _core(sieve, settings)
        sieve.reject(
            {
                RARE_USER.format(settings.min_user_events): fate == USER_TOO_RARE,
                RARE_ITEM.format(settings.min_item_events): fate == ITEM_TOO_RARE,
            }
        )
    reasons = keys["reason"].clone()  # scatter writes in place
    for rows, reason in sieve.rejected:
        reasons.scatter(rows, pl.Series([reason]).cast(reasons.dtype))
    return Kept(sieve.events, reasons, order)


def _put_in_order(sieve: Sieve) -> Order:
    """Sorts the events by user and `time`, a new column."""
    events = sieve.events
    dated = events["timestamp"].count()
    placed = events.filter(pl.col("timestamp").is_null())["position"].count()
    if dated and dated >= placed:
        order: Order = "time"
        sieve.events = events.rename({"timestamp": "time"}).drop("position")
        sieve.reject({NO_DATE: sieve.events["time"].is_null().to_numpy()})
    elif placed:
        order = "position"
        sieve.events = events.rename({"position": "time"}).drop("timestamp")
        sieve.reject({NO_POSITION: sieve.events["time"].is_null().to_numpy()})
    else:
        order = "position"
        place = pl.int_range(pl.len()).over("user")
        sieve.events = events.drop("timestamp", "position").with_columns(time=place)
    sieve.events = sieve.events.sort("user", "time", "row")
    return order


def _core(sieve: Sieve, settings: CleanSettings) -> NDArray[np.uint8]:
    """The k-core over events that name an item, uint8 (n_events); searches go with their users."""
    search = sieve.of_kind("search")
    user, item = sieve.events["user"].to_numpy(), sieve.events["item"].fill_null(0).to_numpy()
    fate = np.zeros(len(user), np.uint8)
    fate[~search] = k_core(user[~search], item[~search], settings.min_user_events, settings.min_item_events)
    left = np.bincount(user[~search & (fate == KEPT)], minlength=int(user.max(initial=0)) + 1)
    fate[search & (left[user] < settings.min_user_events)] = USER_TOO_RARE
    return fate
