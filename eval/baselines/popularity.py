"""The same list for everybody: items by their number of events, all or weighted towards the recent ones."""

from dataclasses import dataclass, field
from typing import Self

import numpy as np

from aisle.data.ids import Rows
from aisle.data.schema import DAY
from aisle.eval.baselines.past import Past, Scores


@dataclass
class Popularity:
    """Score: events of the item in the past."""

    shares: Scores = field(init=False, repr=False)

    def fit(self, past: Past, *, seed: int, threads: int) -> Self:
        """Count."""
        self.shares = past.popularity.astype(np.float32)
        return self

    def scores(self, user_rows: Rows) -> Scores:
        """The same scores for every user."""
        return np.tile(self.shares, (len(user_rows), 1))


@dataclass
class RecentPopularity:
    """Score: events of the item in the last `window` days (0: ever), each half as much for every `half_life`.

    Needs times; where only the order within each history is known, "recent" has no meaning across users.
    Source: the time-aware popularity of Ji et al. 2020, "A Re-visit of the Popularity Baseline in Recommender
    Systems", with an exponential instead of a step.
    """

    half_life: float
    window: float = 0
    shares: Scores = field(init=False, repr=False)

    def fit(self, past: Past, *, seed: int, threads: int) -> Self:
        """Count with weights."""
        times = past.histories.times
        age = (times.max(initial=0) - times) / DAY
        weights = np.exp2(-age / self.half_life)
        if self.window:
            weights[age > self.window] = 0
        self.shares = np.bincount(past.histories.items, weights, past.n_items).astype(np.float32)
        return self

    def scores(self, user_rows: Rows) -> Scores:
        """The same scores for every user."""
        return np.tile(self.shares, (len(user_rows), 1))
