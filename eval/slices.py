"""Parts of the truth that are reported apart: new users and new items, and the known ones beside them.

After a split at one moment in time the tested part holds users and items that no event before it names.
They are what a model that reads should be good at, and they vanish in a mean over everybody.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from aisle.eval.truth import Part, Truth


@dataclass(frozen=True)
class Known:
    """Who and what occurs in any event before the tested part.

    Attributes:
        users: ids, in any order, as text or as whole numbers.
        items: the same.
    """

    users: pl.Series
    items: pl.Series

    @classmethod
    def of(cls, past: pl.DataFrame) -> "Known":
        """Who and what occurs in the events `past`: user_id, item_id (null in an event without item)."""
        return cls(past["user_id"].unique(), past["item_id"].drop_nulls().unique())


def slices(truth: Truth, known: Known) -> dict[str, Part]:
    """ "new users" and "known users", "new items" and "known items", as parts of the truth.

    A slice of users keeps all that they wanted. A slice of items keeps the pairs with such an item, and the
    users who have one; whatever else they wanted keeps its place in their lists and counts as not relevant.
    Slices without users are left out, and so are both of a kind where nothing is new.
    """
    return dict([*_of_users(truth, known.users), *_of_items(truth, known.items)])


def _of_users(truth: Truth, known: pl.Series) -> Iterator[tuple[str, Part]]:
    old = truth.users.values.is_in(known.cast(pl.String).implode()).to_numpy()
    if old.all():
        return
    for name, users in (("new users", ~old), ("known users", old)):
        if users.any():
            yield name, truth.part(users)


def _of_items(truth: Truth, known: pl.Series) -> Iterator[tuple[str, Part]]:
    old = truth.frame["item_id"].is_in(known.cast(pl.String).implode()).to_numpy()
    if old.all():
        return
    for name, pairs in (("new items", ~old), ("known items", old)):
        if pairs.any():
            users = np.bincount(truth.owners[pairs], minlength=len(truth)) > 0
            yield name, truth.part(users, pairs)
