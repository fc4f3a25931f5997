"""Rows that say again what an earlier row said."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

EVENT_KEY = ("user", "item", "kind", "time", "text")
"""What makes two events one: the same user, item, kind, moment (or position) and words."""

UNTIMED_KEY = ("user", "item", "kind", "text")
"""The same where only the order is known: a position may be no more than the place in the file."""


def repeated_events(events: pl.DataFrame) -> NDArray[np.bool_]:
    """Whether each event repeats one above it, bool (n_events).

    Args:
        events: columns of `EVENT_KEY`, sorted by user and time, so that only neighbours can be duplicates.
    """
    user, time = events["user"].to_numpy(), events["time"].to_numpy()
    beside = (user[1:] == user[:-1]) & (time[1:] == time[:-1])
    suspects = np.zeros(len(events), bool)
    suspects[1:] |= beside
    suspects[:-1] |= beside
    return repeats(events, EVENT_KEY, suspects)


def repeated_words(events: pl.DataFrame) -> NDArray[np.bool_]:
    """Whether each event repeats the words of one above it, bool (n_events), for events without times.

    Without words there is nothing to tell: buying twice and being told twice of it look the same.
    """
    return repeats(events, UNTIMED_KEY, events["text"].is_not_null().to_numpy())


def repeats(events: pl.DataFrame, key: Sequence[str], suspects: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether each row that is suspect has the same `key` as a suspect row above it, bool (n_events)."""
    rows = np.flatnonzero(suspects)
    first = events.select(key)[rows].select(pl.struct(key).is_first_distinct()).to_series().to_numpy()
    found = np.zeros(len(events), bool)
    found[rows[~first]] = True
    return found
