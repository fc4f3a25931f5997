"""Parts of the truth that are reported apart: new users and new items, and the known ones beside them.

After a split at one moment in time the tested part holds users and items that no event before it names.
They are what a model that reads should be good at, and they vanish in a mean over everybody.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import polars as pl

from aisle.data.ids import Ids
from aisle.eval.judged import Truth


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


def slices(truth: Truth, known: Known) -> dict[str, Truth]:
    """ "new users" and "known users", "new items" and "known items", each as the truth that it is judged by.

    A slice of users keeps all that they wanted. A slice of items keeps the pairs with such an item, and the
    users who have one; whatever else they wanted keeps its place in their lists and counts as not relevant.
    Slices without users are left out, and so are both of a kind where nothing is new.
    """
    return dict([*_of_users(truth, known.users), *_of_items(truth, known.items)])


def _of_users(truth: Truth, known: pl.Series) -> Iterator[tuple[str, Truth]]:
    users = truth.users.values
    old = users.is_in(known.cast(pl.String).implode())
    if old.all():
        return
    pairs = _pairs(truth)
    for name, ids in (("new users", users.filter(~old)), ("known users", users.filter(old))):
        if len(ids):
            yield name, _part(truth, ids, pairs.filter(pl.col("user_id").is_in(ids.implode())))


def _of_items(truth: Truth, known: pl.Series) -> Iterator[tuple[str, Truth]]:
    old = pl.col("item_id").is_in(known.cast(pl.String).implode())
    pairs = _pairs(truth)
    new = pairs.filter(~old)
    if not len(new):
        return
    for name, wanted in (("new items", new), ("known items", pairs.filter(old))):
        if len(wanted):
            yield name, _part(truth, wanted["user_id"].unique(maintain_order=True), wanted)


def _pairs(truth: Truth) -> pl.DataFrame:
    return truth.frame.with_columns(user_id=truth.users.values.gather(truth.frame["user"]))


def _part(truth: Truth, ids: pl.Series, pairs: pl.DataFrame) -> Truth:
    """The truth of the users `ids`, in the order that they and `pairs` have there."""
    users = Ids(ids)
    frame = pairs.select("item_id", "gain", user=users.code("user_id"))
    return replace(truth, users=users, frame=frame, repeats=0)
