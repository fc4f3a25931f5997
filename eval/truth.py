"""What every user wanted, as flat arrays, and parts of it."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aisle.data.ids import Ids, Rows

Gains = NDArray[np.float64]
"""Relevances, float64: 0 is not relevant, larger is more relevant."""


@dataclass(frozen=True)
class Truth:
    """What every user wanted. Users are in sorted order of their ids; their rows number everything else.

    Attributes:
        users: all users that count, also those without any relevant item.
        frame: user (row), item_id, gain; relevant items only, by user and then from the largest gain down. A
            row of it is a *pair*.
        user_kind: how user ids were written, "text" or "whole numbers".
        item_kind: the same for item ids.
        repeats: rows that said the same as an earlier one.
    """

    users: Ids
    frame: pl.DataFrame
    user_kind: str = "text"
    item_kind: str = "text"
    repeats: int = 0

    def __len__(self) -> int:
        return len(self.users)

    @cached_property
    def owners(self) -> Rows:
        """User row of each pair, int64 (n_pairs), ascending."""
        return self.frame["user"].to_numpy()

    @cached_property
    def gains(self) -> Gains:
        """Gain of each pair, float64 (n_pairs), descending within a user."""
        return self.frame["gain"].to_numpy()

    @cached_property
    def relevant(self) -> Rows:
        """Relevant items per user, int64 (n_users)."""
        return np.bincount(self.owners, minlength=len(self))

    @cached_property
    def ranks(self) -> Rows:
        """Rank of each pair in the user's best possible list, from 1, int64 (n_pairs)."""
        return places(self.owners)

    def part(self, users: NDArray[np.bool_], pairs: NDArray[np.bool_] | None = None) -> "Part":
        """The truth of some users alone, in which only some of their pairs are relevant.

        Args:
            users: which users, bool (n_users).
            pairs: which of the pairs, bool (n_pairs); all of these users unless told.
        """
        kept = users[self.owners] if pairs is None else users[self.owners] & pairs
        rows = np.cumsum(users) - 1
        truth = replace(
            self,
            users=Ids(self.users.values.filter(pl.Series(users))),
            frame=self.frame.filter(pl.Series(kept)).with_columns(user=pl.Series(rows[self.owners[kept]])),
            repeats=0,
        )
        return Part(truth, np.flatnonzero(users), np.flatnonzero(kept))


@dataclass(frozen=True)
class Part:
    """A part of a truth, which a judged run is seen through without another look at the run.

    Attributes:
        truth: of these users and pairs alone.
        users: rows of its users in the whole, int64 (users of the part), ascending.
        pairs: rows of its pairs in the whole, int64 (pairs of the part), ascending.
    """

    truth: Truth
    users: Rows
    pairs: Rows


def places(owners: Rows) -> Rows:
    """Place of each element among those of its owner, from 1; owners are grouped.

    >>> places(np.array([0, 0, 3, 3, 3]))
    array([1, 2, 1, 2, 3])
    """
    if not len(owners):
        return np.zeros(0, np.int64)
    starts = np.flatnonzero(np.append(True, owners[1:] != owners[:-1]))
    lengths = np.diff(np.append(starts, len(owners)))
    return np.arange(1, len(owners) + 1) - np.repeat(starts, lengths)


def changes(ids: pl.Series) -> Rows:
    """Where another id begins than in the line before, int64, ascending; 0 is the first.

    >>> changes(pl.Series(["u", "u", "v", "u"]))
    array([0, 2, 3])
    """
    return (ids != ids.shift()).fill_null(True).arg_true().to_numpy().astype(np.int64)
