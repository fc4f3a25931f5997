"""Weights: the formula, and that validation finds the source that knows."""

from math import log

import numpy as np
import pytest

from aisle.data.history import Histories
from aisle.retriever.fusion import Fusion, ShareWeight, choose
from aisle.retriever.pools import Judged, Pool
from aisle.retriever.prior import Prior, PriorTable

USERS, ITEMS = 60, 30


def test_the_formula():
    shares = (ShareWeight(2.0, 0.1), ShareWeight(), ShareWeight(3.0, 0.01))
    fusion = Fusion(vectors=(1.0, 0.5), shares=shares)
    one = np.array([1.0], np.float32)
    found = fusion.fused([3 * one, 4 * one], [0.2 * one, 0.9 * one, 0.03 * one], 7 * one)
    said = 2 * log(1 + 0.2 / 0.1) + 3 * log(1 + 0.03 / 0.01)
    assert found.tolist() == [pytest.approx(7 + said + 3 + 0.5 * 4)]


@pytest.fixture
def world():
    rng = np.random.default_rng(0)
    pool = Pool.union([(np.repeat(np.arange(USERS), ITEMS), np.tile(np.arange(ITEMS), USERS))], USERS, ITEMS)
    relevant = [rng.integers(ITEMS, size=1) for _ in range(USERS)]
    noise = rng.normal(size=(4, USERS * ITEMS)).astype(np.float32)
    hits = np.zeros(USERS * ITEMS, np.float32)
    hits[pool.positions(relevant)] = 1
    past = Histories(np.array([0, 1]), np.array([0]), np.array([3], np.int8), np.array([0]))
    return pool, Judged(pool, relevant), noise, hits, PriorTable(past, ITEMS, timed=False)


def test_a_source_that_knows_gets_weight_and_one_of_noise_none(world):
    pool, judged, noise, hits, priors = world
    logits = [noise[0], 3 * hits + noise[1]]
    shares = [np.zeros_like(hits)]
    fusion, value = choose(judged, logits, shares, pool.items, priors)
    assert fusion.vectors[1] >= 1
    assert value == judged.ndcg(fusion.fused(logits, shares, priors.of(fusion.prior)[pool.items]))
    assert value > judged.ndcg(logits[0])


def test_shares_that_know_get_weight_and_those_of_noise_none(world):
    pool, judged, noise, hits, priors = world
    chance = np.abs(noise[1]) / ITEMS
    fusion, value = choose(judged, [noise[0]], [chance, hits / USERS], pool.items, priors)
    assert fusion.shares[1].weight >= 0.5
    assert value > 0.9
    assert value >= judged.ndcg(
        Fusion((1.0,), fusion.shares).fused([noise[0]], [chance, hits / USERS], 0 * hits)
    )


def test_without_a_gain_nothing_is_added(world):
    pool, judged, _, hits, priors = world
    fusion, value = choose(judged, [100 * hits], [np.zeros_like(hits)], pool.items, priors)
    assert value == 1
    assert fusion == Fusion(vectors=(1.0,), shares=(ShareWeight(),))
    assert fusion.prior == Prior()
