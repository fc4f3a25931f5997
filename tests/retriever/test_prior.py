"""The prior: its formula, and that validation chooses it."""

from math import log

import numpy as np
import pytest

from aisle.data.history import Histories
from aisle.data.schema import DAY
from aisle.retriever.prior import Prior, choose


def histories(items, days):
    return Histories(
        offsets=np.array([0, len(items)]),
        items=np.array(items, np.int64),
        kinds=np.full(len(items), 3, np.int8),
        times=np.array(days, np.int64) * DAY,
    )


def test_the_formula():
    past = histories([0, 0, 1], [0, 10, 10])
    prior = Prior(popularity=2.0, half_life=10.0, new=-3.0).of(past, 3)
    assert prior.tolist() == [
        pytest.approx(2 * log(1 + 1 / 2 + 1)),
        pytest.approx(2 * log(1 + 1)),
        pytest.approx(-3),
    ]


def test_no_weights_and_no_events():
    assert Prior().of(histories([0], [0]), 2).tolist() == [0, 0]
    assert Prior(popularity=1.0, half_life=7.0).of(histories([], []), 2).tolist() == [0, 0]


def test_the_best_weights_are_found_one_after_the_other():
    def score(prior):
        return -abs(prior.popularity - 0.5) - abs((prior.half_life or 1000) - 30) / 1000 - abs(prior.new + 4)

    assert choose(score, timed=True) == Prior(popularity=0.5, half_life=30.0, new=-4.0)
    assert choose(score, timed=False) == Prior(popularity=0.5, half_life=None, new=-4.0)


def test_no_prior_without_a_gain():
    assert choose(lambda prior: 0.0, timed=True) == Prior()
