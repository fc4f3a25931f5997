"""How pleased each user is with what it reviews, before the moment of ranking: as features."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from aisle.data.history import Histories
from aisle.data.ids import Rows
from aisle.data.prepared import BEFORE, Prepared
from aisle.data.schema import DAY
from aisle.data.visitors import last_moment
from aisle.ranker.lists import Floats
from aisle.ranker.sentiment.reviews import NEGATIVE_BELOW, shop_reviews
from aisle.ranker.sentiment.running import LEAST_SQUARES, YEAR
from aisle.ranker.sentiment.settings import StandingSettings
from aisle.ranker.sentiment.standing import Prior, user_prior

PAST = BEFORE["test"]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Reviewers:
    """What a shop's reviewers are like: what is held of a user without stars; others are drawn towards it.

    Attributes:
        moment: microseconds since 1970, just behind the shop's last event before the test part.
        recent_days: before the moment, that count as recent.
        prior: of the users, from reviews before the moment.
    """

    moment: int
    recent_days: float
    prior: Prior

    @classmethod
    def of(cls, shop: Prepared, settings: StandingSettings) -> "Reviewers | None":
        """From the reviews before the test part; None for a shop whose reviews have no stars or no times."""
        last, reviews = last_moment(shop), shop_reviews(shop, PAST)
        if last is None or reviews["polarity"].null_count() == len(reviews):
            return None
        moment = EPOCH + timedelta(microseconds=last + 1)
        return cls(last + 1, settings.recent_days, user_prior(reviews, moment, settings))

    def columns(self, users: Rows, histories: Histories) -> dict[str, Floats]:
        """The standing of users by the stars of their histories, by name, float32 (len(users)).

        As :func:`aisle.ranker.sentiment.standing.user_sentiment`, of sums over one history each. Whoever did
        something after the moment asks just behind it.

        Args:
            users: user rows.
            histories: that they are rows of.
        """
        own, prior = [_own(histories, int(user), self.moment, self.recent_days) for user in users], self.prior
        n, x, squares, t_t, t_x, late, negative = np.array(own, np.float64).reshape(len(users), 7).T
        spread = (squares + prior.worth * prior.variance) / (np.maximum(n - 1, 0) + prior.worth)
        found = {
            "mean": (x + prior.mean_worth * prior.mean) / (n + prior.mean_worth),
            "spread": np.sqrt(spread),
            "count": np.log1p(n),
            "trend": (t_x + prior.slope_worth * prior.slope) / (t_t + prior.slope_worth),
            "negative_recent": (negative + prior.negative_worth * prior.negative)
            / (late + prior.negative_worth),
            "has_reviews": n > 0,
        }
        return {name: values.astype(np.float32) for name, values in found.items()}

    def as_json(self) -> dict[str, Any]:
        """For a configuration file."""
        return asdict(self)

    @classmethod
    def of_json(cls, found: dict[str, Any]) -> "Reviewers":
        """What :meth:`as_json` gave."""
        return cls(found["moment"], found["recent_days"], Prior(**found["prior"]))


def _own(
    histories: Histories, user: int, moment: int, recent_days: float
) -> tuple[float, float, float, float, float, float, float]:
    """Of one user's stars: their number, sums of polarity, squares, times, products; recent, negative ones.

    Sums of squares are around the means, times in years (:mod:`aisle.ranker.sentiment.running`).
    """
    here = slice(int(histories.offsets[user]), int(histories.offsets[user + 1]))
    if histories.ratings is None or here.start == here.stop:
        return (0.0,) * 7
    told = ~np.isnan(histories.ratings[here])
    if not told.any():
        return (0.0,) * 7
    polarity = (np.clip(histories.ratings[here][told].astype(np.float64), 1, 5) - 1) / 4
    times = histories.times[here][told]
    late = times >= max(moment, int(histories.times[here].max()) + 1) - recent_days * DAY
    t, x = (times - times.mean()) / YEAR, polarity - polarity.mean()
    t_t = float(t @ t)
    return (
        float(len(x)),
        float(polarity.sum()),
        float(x @ x),
        t_t if t_t > LEAST_SQUARES else 0.0,
        float(t @ x),
        float(late.sum()),
        float((polarity[late] < NEGATIVE_BELOW).sum()),
    )
