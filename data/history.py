"""Histories of users as flat arrays: what towers train on and what searches exclude."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aisle.data.ids import Ids, Rows
from aisle.data.ragged import Ragged, offsets_of_owners, spans
from aisle.data.schema import KINDS, Kind, of_kinds


@dataclass(frozen=True)
class Histories(Ragged):
    """Item events of all users, oldest first, in compressed sparse rows.

    User `u` owns the slice `offsets[u]:offsets[u + 1]` of the event arrays. Searches, which name no item,
    are not in here.

    Attributes:
        offsets: int64 (n_users + 1).
        items: item rows, int64 (n_events).
        kinds: positions in `KINDS`, int8 (n_events).
        times: microseconds since 1970, or the position where only the order is known, int64 (n_events).
        ratings: stars from 0 to 5, NaN where an event has none, float32 (n_events); None where none has.
    """

    offsets: Rows
    items: Rows
    kinds: NDArray[np.int8]
    times: Rows
    ratings: NDArray[np.float32] | None = None

    @classmethod
    def of(
        cls, events: pl.LazyFrame | pl.DataFrame, users: Ids, items: Ids, kinds: Sequence[Kind] = KINDS
    ) -> "Histories":
        """Histories of `users` in `events`; events of other users, kinds or items are left out.

        Order: time (or position), then the order of the rows in `events`.
        """
        chosen = events.lazy().filter(pl.col("item_id").is_not_null(), of_kinds(kinds))
        frame = (
            chosen.select(
                user=users.code("user_id"),
                item=items.code("item_id"),
                kind=pl.col("kind").to_physical().cast(pl.Int8),
                time=event_time(),
                rating=pl.col("rating").cast(pl.Float32),
            )
            .drop_nulls(["user", "item"])
            .collect()
            .sort("user", "time", maintain_order=True)
        )
        return cls(
            offsets=offsets_of_owners(frame["user"].to_numpy(), len(users)),
            items=frame["item"].to_numpy(),
            kinds=frame["kind"].to_numpy(),
            times=frame["time"].to_numpy(),
            ratings=None if frame["rating"].is_null().all() else frame["rating"].fill_null(np.nan).to_numpy(),
        )

    @property
    def lengths(self) -> Rows:
        """Events per user, int64 (n_users)."""
        return self.sizes

    def items_of(self, user_row: int) -> Rows:
        """Item rows of one user, oldest first (a view)."""
        return self.items[self.offsets[user_row] : self.offsets[user_row + 1]]

    def seen(self, user_rows: Rows) -> list[Rows]:
        """Distinct item rows that each of `user_rows` had an event with."""
        sizes = self.lengths[user_rows]
        items = self.items[spans(self.offsets[user_rows], sizes)]
        most = int(items.max(initial=0)) + 1
        keys = np.repeat(np.arange(len(user_rows)), sizes) * most + items
        keys.sort()
        keys = keys[np.diff(keys, prepend=-1) > 0]
        items = keys % most
        bounds = np.searchsorted(keys, np.arange(len(user_rows) + 1) * most).tolist()
        return [items[start:stop] for start, stop in pairwise(bounds)]

    def run_starts(self) -> Rows:
        """Places in the event arrays at which a run of a user's events on one item begins, in order."""
        owner = self.owners()
        starts = np.ones(len(self.items), bool)
        starts[1:] = (self.items[1:] != self.items[:-1]) | (owner[1:] != owner[:-1])
        return np.flatnonzero(starts)

    def merge_repeats(self, targets: Sequence[Kind]) -> "Histories":
        """Runs of events on one item (a look, a cart, a purchase) become one event.

        Its kind is the strongest of the run, a kind of `targets` before any other: a purchase that is
        reviewed at once is still a purchase. Its time is that of the run's last event, its rating the run's
        last one.
        """
        owner = self.owners()
        first = self.run_starts()
        last = np.append(first[1:], len(self.items)) - 1 if len(first) else first
        wanted = np.isin(self.kinds, [KINDS.index(kind) for kind in targets])
        strength = self.kinds + np.int8(len(KINDS)) * wanted
        kinds = np.maximum.reduceat(strength, first) % len(KINDS) if len(first) else self.kinds
        offsets = offsets_of_owners(owner[first], len(self))
        return Histories(offsets, self.items[first], kinds, self.times[last], self._last_ratings(first))

    def _last_ratings(self, first: Rows) -> NDArray[np.float32] | None:
        """The last rating of each run of events; runs start at `first`."""
        if self.ratings is None or not len(first):
            return self.ratings
        rated = np.where(np.isnan(self.ratings), -1, np.arange(len(self.ratings)))
        last = np.maximum.reduceat(rated, first)
        return np.where(last >= 0, self.ratings[last], np.float32(np.nan))


def event_time() -> pl.Expr:
    """Sort key of an event, Int64: microseconds since 1970, else its position in the user's history."""
    return pl.coalesce(pl.col("timestamp").dt.timestamp("us"), pl.col("position")).fill_null(0)
