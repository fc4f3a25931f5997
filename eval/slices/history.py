"""Users by how much is known of them."""

import numpy as np
import polars as pl

from aisle.eval.slices.known import Known
from aisle.eval.slices.parts import Named, banded, of_users
from aisle.eval.truth import Truth

BOUNDS = {
    "history: 1 to 4 events": 4.0,
    "history: 5 to 9 events": 9.0,
    "history: 10 to 19 events": 19.0,
    "history: 20 to 49 events": 49.0,
    "history: 50 events and more": np.inf,
}
"""Most events on items in each part."""


def by_history(truth: Truth, known: Known) -> Named:
    """Users by their number of past events on items; those without any are in no part."""
    if known.events is None:
        return
    counts = known.events.drop_nulls("item_id").group_by("user_id").len("events")
    users = pl.DataFrame({"user_id": truth.users.values})
    found = users.join(counts, on="user_id", how="left", maintain_order="left")["events"]
    yield from of_users(truth, banded(found.cast(pl.Float64).fill_null(np.nan).to_numpy(), BOUNDS))
