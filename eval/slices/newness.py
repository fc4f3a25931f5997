"""New users and new items, and the known ones beside them.

After a split at one moment in time the tested part holds users and items that no event before it names.
They are what a model that reads should be good at, and they vanish in a mean over everybody.
"""

from aisle.eval.slices.known import Known
from aisle.eval.slices.parts import Named, of_pairs, of_users
from aisle.eval.truth import Truth


def by_newness(truth: Truth, known: Known) -> Named:
    """Users and items that some event of the past names, and others. Nothing where none is new."""
    if known.events is None:
        return
    old = truth.users.values.is_in(known.events["user_id"].drop_nulls().unique().implode()).to_numpy()
    if not old.all():
        yield from of_users(truth, {"new users": ~old, "known users": old})
    old = truth.frame["item_id"].is_in(known.events["item_id"].drop_nulls().unique().implode()).to_numpy()
    if not old.all():
        yield from of_pairs(truth, {"new items": ~old, "known items": old})
