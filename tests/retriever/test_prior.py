"""The prior: its formula."""

from math import log

import numpy as np
import pytest

from aisle.data.history import Histories
from aisle.data.schema import DAY
from aisle.retriever.prior import Prior, PriorTable


def histories(items, days):
    return Histories(
        offsets=np.array([0, len(items)]),
        items=np.array(items, np.int64),
        kinds=np.full(len(items), 3, np.int8),
        times=np.array(days, np.int64) * DAY,
    )


def test_the_formula():
    past = histories([0, 0, 1], [0, 10, 10])
    prior = PriorTable(past, 3, timed=True).of(Prior(popularity=2.0, half_life=10.0, new=-3.0))
    assert prior.tolist() == [
        pytest.approx(2 * log(1 + 1 / 2 + 1)),
        pytest.approx(2 * log(1 + 1)),
        pytest.approx(-3),
    ]


def test_no_weights_and_no_events():
    assert PriorTable(histories([0], [0]), 2, timed=True).of(Prior()).tolist() == [0, 0]
    nothing = PriorTable(histories([], []), 2, timed=True)
    assert nothing.of(Prior(popularity=1.0, half_life=7.0)).tolist() == [0, 0]
