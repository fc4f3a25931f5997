"""Shops whose truth is known: to check that estimates hold what their intervals promise."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aisle.eval.online.estimate import Floats
from aisle.eval.online.offpolicy import Decisions
from aisle.eval.online.rewards import expected_rewards, folds_of

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Policies:
    """A shop that shows items in slots, and two policies.

    Attributes:
        shares: of the types of users, (n_types,).
        chances: of a reward of 1, by type, slot and item, (n_types, n_slots, n_items); a user's own chances
            are these times 1 - `spread` or 1 + `spread`, either for half of the users, so that requests of a
            user are alike.
        logging: probabilities with which the shop shows an item, of the same shape.
        target: those of the other policy.
        spread: from 0 to 1.
    """

    shares: Floats
    chances: Floats
    logging: Floats
    target: Floats
    spread: float

    def value(self, policy: Floats) -> float:
        """Mean reward of a request under a policy, exactly: a sum over types, slots and items."""
        return float(np.einsum("t,tsi,tsi->", self.shares, self.chances, policy))

    def log(self, users: int, requests: int, *, seed: int) -> pl.DataFrame:
        """A candidate log (:mod:`aisle.eval.online.logs`) of `users` with `requests` each, with `target`."""
        types, drawn, rewards = self._shown(users, requests, seed)
        n_slots, n_items = self.chances.shape[1:]
        shape = (users * requests, n_slots, n_items)
        items = np.broadcast_to(np.arange(n_items), shape)
        shown = items == drawn[:, :, None]
        return pl.DataFrame(
            {
                "request_id": np.repeat(np.arange(shape[0]), n_slots * n_items),
                "user_id": np.repeat(np.arange(users), requests * n_slots * n_items),
                "slot": np.broadcast_to(np.arange(1, n_slots + 1)[:, None], shape).ravel(),
                "item_id": items.ravel(),
                "propensity": self.logging[types].ravel(),
                "shown": shown.ravel(),
                "reward": np.where(shown, rewards[:, :, None], 0.0).ravel(),
                "target": self.target[types].ravel(),
            }
        )

    def decisions(self, users: int, requests: int, *, seed: int) -> Decisions:
        """The same log as arrays, as :func:`aisle.eval.online.offpolicy.decisions_of` makes them."""
        types, drawn, rewards = self._shown(users, requests, seed)
        n_slots, n_items = self.chances.shape[1:]
        shape = (users * requests, n_slots, n_items)
        user = np.repeat(np.arange(users), requests)
        slots = np.broadcast_to(np.arange(n_slots), shape[:2])
        items = np.broadcast_to(np.arange(n_items), shape)
        shown = items == drawn[:, :, None]
        folds = np.broadcast_to(folds_of(users, seed=seed)[user][:, None, None], shape)
        expected = expected_rewards(
            np.broadcast_to(slots[:, :, None], shape).ravel(),
            items.ravel(),
            shown.ravel().astype(np.float64),
            np.broadcast_to(rewards[:, :, None], shape).ravel(),
            folds.ravel(),
        ).reshape(shape)
        logging, target = self.logging[types], self.target[types]
        return Decisions(
            weights=(target[shown] / logging[shown]),
            rewards=rewards.ravel(),
            slots=slots.ravel(),
            requests=np.repeat(np.arange(shape[0]), n_slots),
            users=np.repeat(user, n_slots),
            expected=expected[shown],
            baseline=(target * expected).sum(axis=2).ravel(),
        )

    def _shown(self, users: int, requests: int, seed: int) -> tuple[Rows, Rows, Floats]:
        """Types of requests (n,), items drawn for their slots and the rewards of those (n, n_slots)."""
        rng = np.random.default_rng(seed)
        n_slots, n_items = self.chances.shape[1:]
        types = np.repeat(rng.choice(len(self.shares), users, p=self.shares), requests)
        factor = np.repeat(1 + self.spread * rng.choice([-1, 1], users), requests)
        places = rng.random((users * requests, n_slots, 1))
        drawn = (places > self.logging[types].cumsum(axis=2)).sum(axis=2).clip(0, n_items - 1)
        chance = np.take_along_axis(self.chances[types], drawn[:, :, None], 2)[:, :, 0] * factor[:, None]
        return types, drawn, (rng.random(chance.shape) < chance).astype(np.float64)


def shop_of_policies(
    *, types: int = 4, slots: int = 2, items: int = 8, spread: float = 0.5, seed: int = 0
) -> Policies:
    """A shop with two policies: a soft one that logs, and one that knows better and is surer.

    Chances are 2% to 30%, smaller in lower slots. The shop shows items by a softmax of a noisy guess of them,
    mixed with 20% of pure chance; the other policy by a sharper softmax of a better guess.
    """
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.full(types, 5.0))
    appeal = rng.normal(size=(types, 1, items))
    chances = 0.02 + 0.28 / (1 + np.exp(1 - appeal)) / np.arange(1, slots + 1)[:, None]
    guess = appeal + rng.normal(size=appeal.shape)
    better = appeal + 0.5 * rng.normal(size=appeal.shape)
    everywhere = np.ones((1, slots, 1))
    logging = 0.8 * _softmax(guess) + 0.2 / items
    return Policies(shares, chances, logging * everywhere, _softmax(1.5 * better) * everywhere, spread)


@dataclass(frozen=True)
class Crowd:
    """Users who came: their types, and what each spends in parts of the type's mean, (n_users,)."""

    types: Rows
    wealth: Floats

    def __len__(self) -> int:
        return len(self.types)


@dataclass(frozen=True)
class Visitors:
    """Users of a shop that tests something: what types of them do in a period.

    Attributes:
        shares: of the types, (n_types,).
        buys: chance that a user buys at all.
        spends: mean of what a buyer spends; it is lognormal between users, and again between periods of a
            user.
        views: mean of the views beyond the first, Poisson.
        clicks: chance that a view is clicked.
    """

    shares: Floats
    buys: Floats
    spends: Floats
    views: Floats
    clicks: Floats

    def crowd(self, users: int, rng: np.random.Generator) -> Crowd:
        """New users."""
        types = rng.choice(len(self.shares), users, p=self.shares)
        return Crowd(types, _lognormal(users, 0.8, rng))

    def spending(self, crowd: Crowd, rng: np.random.Generator, effect: float = 0.0) -> Floats:
        """What users spend in a period, often nothing, (n_users,); `effect` is the mean of what is added.

        What is added to a user is exponential, so that the effect differs between users.
        """
        n, types = len(crowd), crowd.types
        buys = rng.random(n) < self.buys[types]
        spent = buys * self.spends[types] * crowd.wealth * _lognormal(n, 0.4, rng)
        return np.asarray(spent + effect * rng.exponential(size=n))

    def conversions(self, crowd: Crowd, rng: np.random.Generator, effect: float = 0.0) -> Floats:
        """Whether users buy, 0 or 1, (n_users,); `effect` is added to the chance."""
        return (rng.random(len(crowd)) < self.buys[crowd.types] + effect).astype(np.float64)

    def browsing(self, crowd: Crowd, rng: np.random.Generator, effect: float = 0.0) -> tuple[Floats, Floats]:
        """Clicks and views of users, (n_users,) each; `effect` is added to the chance of a click."""
        views = 1 + rng.poisson(self.views[crowd.types])
        clicks = rng.binomial(views, self.clicks[crowd.types] + effect)
        return clicks.astype(np.float64), views.astype(np.float64)

    def click_rate(self, effect: float = 0.0) -> float:
        """All clicks by all views, in expectation: types who view more count more."""
        views = self.shares * (1 + self.views)
        return float((views * (self.clicks + effect)).sum() / views.sum())


def shop_of_visitors(types: int = 4, seed: int = 0) -> Visitors:
    """A shop in which those who buy more also view more: 5% to 65% buy, and spend 10 to 40."""
    rng = np.random.default_rng(seed)
    keen = np.linspace(0, 1, types)
    return Visitors(
        shares=rng.dirichlet(np.full(types, 5.0)),
        buys=0.05 + 0.6 * keen,
        spends=10 + 30 * keen,
        views=1 + 9 * keen,
        clicks=0.05 + 0.10 * keen,
    )


def _lognormal(n: int, spread: float, rng: np.random.Generator) -> Floats:
    """Lognormal numbers of mean 1, (n,)."""
    return rng.lognormal(-(spread**2) / 2, spread, n)


def _softmax(scores: Floats) -> Floats:
    weights = np.exp(scores)
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))
