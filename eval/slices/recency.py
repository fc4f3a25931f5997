"""Users by how long they were away."""

import numpy as np
import polars as pl

from aisle.data.schema import DAY
from aisle.eval.slices.known import Known
from aisle.eval.slices.parts import Named, banded, of_users
from aisle.eval.truth import Truth

BOUNDS = {
    "last event: a day before, at most": 1.0,
    "last event: a day to a week before": 7.0,
    "last event: a week to a month before": 30.0,
    "last event: a month to a year before": 365.0,
    "last event: over a year before": np.inf,
}
"""Most days between the last event that is known and the first tested one."""


def by_recency(truth: Truth, known: Known) -> Named:
    """Users by the days between their last past event and their first tested one; needs the dates of both."""
    if known.events is None or known.asked is None:
        return
    last = known.events.group_by("user_id").agg(last=pl.col("timestamp").max())
    first = known.asked.group_by("user_id").agg(first=pl.col("timestamp").min())
    users = pl.DataFrame({"user_id": truth.users.values})
    both = users.join(last, on="user_id", how="left", maintain_order="left")
    both = both.join(first, on="user_id", how="left", maintain_order="left")
    micros = [pl.col(name).dt.timestamp("us") for name in ("first", "last")]
    days = both.select((micros[0] - micros[1]).cast(pl.Float64) / DAY).to_series().fill_null(np.nan)
    yield from of_users(truth, banded(days.to_numpy(), BOUNDS))
