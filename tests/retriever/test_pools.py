"""Pools of candidates: unions, exclusions, the best of them, and ndcg@10 against the dense one."""

import numpy as np
import pytest

from aisle.retriever.pools import Judged, Pool
from aisle.retriever.validation import ndcg


def rows(*values):
    return np.array(values, np.int64)


@pytest.fixture
def pool():
    return Pool.union([(rows(2, 0, 0), rows(1, 4, 2)), (rows(0, 2), rows(4, 0))], users=3, catalogue=5)


def test_a_union_holds_every_pair_once(pool):
    assert pool.offsets.tolist() == [0, 2, 2, 4]
    assert pool.items.tolist() == [2, 4, 0, 1]
    assert pool.owner.tolist() == [0, 0, 2, 2]


def test_what_is_left_without_some(pool):
    left, kept = pool.without([rows(4, 1), rows(2), rows(0, 1)])
    assert left.items.tolist() == [2]
    assert left.sizes.tolist() == [1, 0, 0]
    assert kept.tolist() == [0]


def test_pairs_of_two_pools(pool):
    other = Pool(rows(0, 1, 1, 3), rows(4, 1, 3), 5)
    here, there = pool.within(other)
    assert here.tolist() == [1, 3]
    assert there.tolist() == [0, 1]


def test_the_best_are_ranked_and_cut(pool):
    place, rank = pool.best(np.array([1, 3, 2, 2], np.float32), 1)
    assert place.tolist() == [1, 2]  # equal scores: the smaller row
    assert rank.tolist() == [1, 1]


def test_an_empty_pool():
    nothing = Pool(rows(0, 0), rows(), 5)
    assert nothing.positions([rows(3)]).tolist() == []
    assert nothing.best(np.empty(0, np.float32), 3)[0].tolist() == []
    assert Judged(nothing, [rows(3)]).ndcg(np.empty(0, np.float32)) == 0


@pytest.mark.parametrize("seed", range(5))
def test_ndcg_of_a_pool_of_everything_is_the_dense_one(seed):
    rng = np.random.default_rng(seed)
    users, items = 20, 40
    scores = rng.integers(0, 12, (users, items)).astype(np.float32)  # many ties
    relevant = [rng.choice(items, rng.integers(1, 14), replace=False) for _ in range(users)]
    seen = [rng.choice(items, 5, replace=False) for _ in range(users)]
    everything = Pool.union(
        [(np.repeat(np.arange(users), items), np.tile(np.arange(items), users))], users, items
    )
    pool, kept = everything.without(seen)
    found = Judged(pool, relevant).gains(scores.ravel()[kept])
    np.testing.assert_allclose(found, ndcg(scores.copy(), relevant, seen))


def test_scores_that_are_no_numbers_are_no_perfect_ranking(pool):
    assert Judged(pool, [rows(2), rows(3), rows(0)]).ndcg(np.full(4, np.nan, np.float32)) < 1


def test_pools_one_after_the_other(pool):
    both = Pool.stack([pool, pool])
    assert both.offsets.tolist() == [0, 2, 2, 4, 6, 6, 8]
    assert both.items.tolist() == [2, 4, 0, 1] * 2
