"""What can be among the best is never left out, and most of what cannot is."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from aisle.retriever.contenders import contenders
from aisle.retriever.fusion import Fusion, ShareWeight
from aisle.retriever.pools import Pool
from aisle.retriever.sources import Asked

USERS, ITEMS, K = 20, 200, 7
PRIOR = np.random.default_rng(9).normal(size=ITEMS).astype(np.float32)
NOTHING = [np.empty(0, np.int64)] * USERS


def logits_in(dense: np.ndarray) -> Callable[[Pool], list[np.ndarray]]:
    """The one logit of each pair out of a table of all, float32 (users, items)."""
    return lambda pool: [dense[pool.owner, pool.items]]


def pointed(rng: np.random.Generator, each: int) -> tuple[Pool, np.ndarray]:
    """Items that each user's point to, and shares that sum to 1."""
    items = np.concatenate([np.sort(rng.choice(ITEMS, each, replace=False)) for _ in range(USERS)])
    shares = rng.dirichlet(np.full(each, 0.3), USERS).astype(np.float32).ravel()
    return Pool(each * np.arange(USERS + 1), items, ITEMS), shares


def best(dense: np.ndarray, fusion: Fusion, asked: Asked, lists: Sequence[tuple]) -> tuple:
    pool = Pool.union(lists, USERS, ITEMS)
    scores = fusion.fused(logits_in(dense)(pool), asked.shares_of(pool), PRIOR[pool.items])
    place, _ = pool.best(scores, K)
    return pool.items[place].tolist(), scores[place].tolist()


def near(dense: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    return np.repeat(np.arange(USERS), k), np.argsort(-(dense + PRIOR), axis=1)[:, :k].ravel()


@pytest.mark.parametrize("sources", [1, 2, 3])
@pytest.mark.parametrize("seed", range(4))
def test_the_best_are_those_of_all_that_is_pointed_to(seed: int, sources: int) -> None:
    rng = np.random.default_rng(seed)
    dense = rng.normal(size=(USERS, ITEMS)).astype(np.float32)
    pairs = [pointed(rng, each) for each in (60, 30, 90)[:sources]]
    asked = Asked([], [pool for pool, _ in pairs], [shares for _, shares in pairs], NOTHING)
    fusion = Fusion((1.5,), tuple(ShareWeight(weight, 1e-2) for weight in (0.1, 0.2, 0.05)[:sources]))
    close = near(dense, K)
    some = list(contenders(logits_in(dense), fusion, PRIOR, asked, close, K))
    everything = [(pool.owner, pool.items) for pool in asked.pointed]
    assert best(dense, fusion, asked, [close, *some]) == best(dense, fusion, asked, [close, *everything])
    assert sum(len(items) for _, items in some) < sum(len(items) for _, items in everything) / 2


def test_users_with_too_few_keep_all_that_is_pointed_to() -> None:
    rng = np.random.default_rng(0)
    dense = rng.normal(size=(USERS, ITEMS)).astype(np.float32)
    pool, shares = pointed(rng, 50)
    asked = Asked([], [pool], [shares], NOTHING)
    fusion = Fusion((1.0,), (ShareWeight(0.1),))
    owner, items = near(dense, K)
    kept = (owner != 3) | (items != items[owner == 3][0])  # user 3 has one fewer
    ((some, _),) = contenders(logits_in(dense), fusion, PRIOR, asked, (owner[kept], items[kept]), K)
    assert (some == 3).sum() == 50
    assert (some == 4).sum() < 50
