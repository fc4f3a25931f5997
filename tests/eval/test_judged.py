"""A judged run against a slow oracle: shuffled rows, ties, strangers, and parts of the truth."""

from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest

from aisle.eval.judged import Judged
from aisle.eval.judging import judge
from aisle.eval.lists import Lists
from aisle.eval.metrics.measure import USER_METRICS
from aisle.eval.runs import check_run, check_truth
from aisle.eval.truth import Truth


@dataclass
class World:
    """Graded truth and a run whose scores are coarse, with users on one side alone."""

    truth: Truth
    run: pl.DataFrame


def world(seed: int, users: int = 40, items: int = 30, levels: int = 4) -> World:
    rng = np.random.default_rng(seed)
    wanted, run = [], []
    for user in range(users):
        if user % 10 != 7:
            some = rng.choice(items, rng.integers(1, 9), replace=False)
            wanted += [(f"u{user}", f"i{item}", int(rng.integers(0, 4))) for item in some]
        if user % 10 != 3:
            listed = rng.choice(items, rng.integers(1, 25), replace=False)
            scores = rng.integers(-levels, levels, len(listed)) * rng.choice([0.0, -0.0, 0.5], len(listed))
            run += [
                (f"u{user}", f"i{item}", float(score)) for item, score in zip(listed, scores, strict=True)
            ]
    truth = pl.DataFrame(wanted, schema=["user_id", "item_id", "relevance"], orient="row")
    rows = pl.DataFrame(run, schema=["user_id", "item_id", "score"], orient="row")
    return World(check_truth(truth), rows)


def judged(world: World, run: pl.DataFrame, depth: int = 30) -> Judged:
    return judge(check_run(run, world.truth, "run"), world.truth, depth=depth)


def oracle(truth: Truth, run: pl.DataFrame) -> dict[str, list[tuple[str, float]]]:
    """Item and gain at each rank, by user, sorted by score and then by gain."""
    gains = {
        (truth.users.values[user], item): gain
        for user, item, gain in truth.frame.select("user", "item_id", "gain").rows()
    }
    lists = {}
    for user in truth.users.values:
        rows = [
            (item, score, gains.get((user, item), 0.0)) for owner, item, score in run.rows() if owner == user
        ]
        lists[user] = [(item, gain) for item, _, gain in sorted(rows, key=lambda row: (-row[1], row[2]))]
    return lists


def found(seen: Judged) -> dict[str, list[tuple[str, float]]]:
    """The same, out of a judged run."""
    lists = {}
    for row, user in enumerate(seen.truth.users.values):
        mine = seen.hit_users == row
        gain = dict(zip(seen.hit_ranks[mine].tolist(), seen.hit_gains[mine].tolist(), strict=True))
        start, stop = seen.lists.offsets[row : row + 2]
        items = seen.items.gather(seen.lists.items[start:stop]).to_list()
        lists[user] = [(item, gain.get(rank, 0.0)) for rank, item in enumerate(items, 1)]
    return lists


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("order", ["as written", "by score", "shuffled"])
def test_lists_and_hits_are_those_of_a_plain_sort(seed, order):
    some = world(seed)
    run = some.run
    if order == "by score":
        run = run.sort("user_id", "score", descending=[True, True], maintain_order=True)
    if order == "shuffled":
        run = run.sample(fraction=1, shuffle=True, seed=seed)
    assert found(judged(some, run)) == oracle(some.truth, run)


@pytest.mark.parametrize("seed", range(4))
def test_a_part_is_as_if_the_run_had_been_judged_by_it_alone(seed):
    some = world(seed)
    rng = np.random.default_rng(seed)
    pairs = rng.random(len(some.truth.frame)) < 0.5
    users = (np.bincount(some.truth.owners[pairs], minlength=len(some.truth)) > 0) & (rng.random(36) < 0.8)
    part = some.truth.part(users, pairs)
    seen = judged(some, some.run).part(part)
    again = judge(check_run(some.run, part.truth, "run"), part.truth, depth=30)
    assert 0 < len(part.truth) < len(some.truth)
    for name in ("hit_users", "hit_pairs", "hit_ranks", "hit_ends", "hit_gains"):
        assert getattr(seen, name).tolist() == getattr(again, name).tolist(), name
    for metric in ("recall", "ndcg", "mrr", "map", "r_precision"):
        expected = USER_METRICS[metric](again, 5)
        assert USER_METRICS[metric](seen, 5).tolist() == expected.tolist(), metric
    assert seen.lists.sizes.tolist() == again.lists.sizes.tolist()


def test_a_part_of_a_part():
    some = world(0)
    users = np.arange(len(some.truth)) % 2 == 0
    half = some.truth.part(users)
    quarter = half.truth.part(np.arange(len(half.truth)) % 2 == 0)
    seen = judged(some, some.run).part(half).part(quarter)
    once = judged(some, some.run).part(some.truth.part(np.arange(len(some.truth)) % 4 == 0))
    assert found(seen) == found(once)


def test_users_outside_the_truth_are_counted_once():
    some = world(0)
    known = set(some.truth.users.values)
    strangers = {user for user in some.run["user_id"] if user not in known}
    assert judged(some, some.run.sample(fraction=1, shuffle=True, seed=0)).strangers == len(strangers) > 0


def test_lists_by_hand():
    lists = Lists(np.array([0, 3, 3, 5]), np.array([4, 1, 2, 0, 4]))
    values = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    assert lists.ranks.tolist() == [1, 2, 3, 1, 2]
    assert lists.sums(values, 2).tolist() == [1 + 2, 0, 8 + 16]
    assert lists.means(values, 3).tolist() == [(1 + 2 + 4) / 3, 0, (8 + 16) / 2]
    assert lists.first(1).items.tolist() == [4, 0]
    assert lists.of(np.array([2, 0])).items.tolist() == [0, 4, 4, 1, 2]
    nobody = Lists(np.array([0, 0]), np.zeros(0, np.int64))
    assert nobody.means(np.zeros(0), 3).tolist() == [0]
