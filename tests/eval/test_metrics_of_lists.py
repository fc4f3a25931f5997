"""Metrics that need to know the items: by arithmetic, and against loops over pairs, users and categories."""

from math import log, log2

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from aisle.eval.catalogue import Catalogue
from aisle.eval.judged import Judged
from aisle.eval.judging import judge
from aisle.eval.metrics.measure import NEEDS, USER_METRICS, is_known
from aisle.eval.profiles import Profiles
from aisle.eval.runs import check_run, check_truth

ITEMS = ["a", "b", "c", "d", "e"]
EVENTS = [8, 4, 4, 1, 0]
CATEGORIES = [["toy"], ["toy", "game"], ["game"], [], ["book", "game"]]
VECTORS = np.array([[2, 0], [0, 1], [-3, 0], [0, 0], [1, 1]], np.float32)
CATALOGUE = Catalogue.of(
    pl.DataFrame({"item_id": ITEMS, "events": EVENTS, "categories": CATEGORIES}), VECTORS
)


def table(rows, *columns):
    return pl.DataFrame(rows, schema=list(columns), orient="row")


def seen(truth, lists: dict[str, str], past=(), catalogue=CATALOGUE, cut_offs=()) -> Judged:
    """Truth and past as (user, item), lists as letters, best first."""
    wanted = check_truth(table(truth, "user_id", "item_id"))
    rows = [(user, item, -float(at)) for user, items in lists.items() for at, item in enumerate(items)]
    run = table(rows, "user_id", "item_id", "score")
    profiles = Profiles.of(table([*past, ("u", None)], "user_id", "item_id"), wanted, catalogue)
    return judge(
        check_run(run, wanted, "run"),
        wanted,
        depth=20,
        catalogue=catalogue,
        profiles=profiles,
        cut_offs=cut_offs,
    )


def scores(metric: str, k: int, judged: Judged) -> list[float]:
    return USER_METRICS[metric](judged, k).tolist()


def test_auc_counts_pairs_in_the_right_order():
    judged = seen([("u", "a"), ("u", "b"), ("v", "c"), ("w", "a")], {"u": "adbce", "v": "cab"})
    assert scores("auc", 5, judged) == [(3 + 2) / (3 * 2), 1, 0]
    assert scores("auc", 2, judged) == [3 / (3 * 2), 1, 0], "below k nothing is gained"


@pytest.mark.parametrize("seed", range(3))
def test_auc_of_a_whole_ranking_is_the_area_under_the_roc_curve(seed):
    rng = np.random.default_rng(seed)
    items = [f"i{item}" for item in range(40)]
    truth = [(f"u{user}", item) for user in range(20) for item in rng.choice(items, 5, replace=False)]
    rows = [(f"u{user}", item, float(rng.normal())) for user in range(20) for item in items]
    wanted = check_truth(table(truth, "user_id", "item_id"))
    run = check_run(table(rows, "user_id", "item_id", "score"), wanted, "run")
    found = USER_METRICS["auc"](judge(run, wanted, depth=40, catalogue=Catalogue(40)), 40)
    for row, user in enumerate(wanted.users.values):
        mine = [(item, score) for owner, item, score in rows if owner == user]
        labels = [(user, item) in truth for item, _ in mine]
        assert found[row] == pytest.approx(roc_auc_score(labels, [score for _, score in mine]), abs=1e-12)


def test_auc_counts_ties_against():
    wanted = check_truth(table([("u", "a")], "user_id", "item_id"))
    run = table([("u", "a", 1.0), ("u", "b", 1.0), ("u", "c", 0.5)], "user_id", "item_id", "score")
    judged = judge(check_run(run, wanted, "run"), wanted, depth=10, catalogue=Catalogue(3))
    assert scores("auc", 3, judged) == [1 / 2]


def test_diversity_is_the_mean_distance_of_pairs():
    judged = seen([("u", "a"), ("v", "a"), ("w", "a")], {"u": "abce", "v": "ad?", "w": ""})
    angle = 1 / np.sqrt(2)
    pairs = [0, -1, angle, 0, angle, -angle]
    assert scores("diversity", 2, judged) == pytest.approx([1 - 0, 0, 0])
    assert scores("diversity", 3, judged) == pytest.approx([1 - (0 - 1 + 0) / 3, 0, 0], abs=1e-6)
    assert scores("diversity", 4, judged) == pytest.approx([1 - sum(pairs) / 6, 0, 0], abs=1e-6)
    assert scores("diversity", 1, judged) == [0, 0, 0]


def test_serendipity_counts_hits_beyond_the_most_popular():
    truth = [("u", "a"), ("u", "d"), ("v", "b"), ("v", "c"), ("w", "?")]
    judged = seen(truth, {"u": "adb", "v": "bc", "w": "?"})
    assert scores("serendipity", 1, judged) == [0, 1, 1], "a is the most popular; w's item is in no catalogue"
    assert scores("serendipity", 2, judged) == [1 / 2, 0, 1 / 2], "b and c tie for the second place"
    assert scores("serendipity", 5, judged) == [0, 0, 1 / 5]


def test_popularity_bias_compares_lists_with_what_users_wanted():
    judged = seen([("u", "b"), ("v", "a"), ("v", "e"), ("w", "c")], {"u": "ab", "v": "de?"})
    share = {item: (events + 1) / (17 + 5) for item, events in zip([*ITEMS, "?"], [*EVENTS, 0], strict=True)}
    level = (share["b"] + (share["a"] + share["e"]) / 2 + share["c"]) / 3
    expected = [(share["a"] + share["b"]) / 2 / level - 1, (share["d"] + share["e"]) / 2 / level - 1, 0]
    assert scores("popularity_bias", 2, judged) == pytest.approx(expected)
    assert scores("popularity_bias", 9, judged)[1] == pytest.approx(
        (share["d"] + share["e"] + share["?"]) / 3 / level - 1
    )


def test_lists_of_what_users_wanted_have_no_popularity_bias():
    truth = [("u", "a"), ("u", "c"), ("v", "e"), ("v", "b")]
    judged = seen(truth, {"u": "ca", "v": "be"})
    assert np.mean(scores("popularity_bias", 2, judged)) == pytest.approx(0, abs=1e-12)


def test_miscalibration_is_the_divergence_of_categories():
    past = [("u", "a"), ("u", "b"), ("w", "d")]
    judged = seen([("u", "a"), ("v", "a"), ("w", "a")], {"u": "ce", "v": "a", "w": "a"}, past)
    toy, game = 1.5 / 2, 0.5 / 2
    mixed = {"toy": 0.01 * toy, "game": 0.99 * 1.5 / 2 + 0.01 * game}
    expected = toy * log(toy / mixed["toy"]) + game * log(game / mixed["game"])
    assert scores("miscalibration", 2, judged) == pytest.approx([expected, 0, 0])


def test_miscalibration_is_0_for_the_users_own_shares_and_largest_without_results():
    past = [("u", "a"), ("u", "b"), ("v", "b")]
    judged = seen([("u", "c"), ("v", "c")], {"u": "ab"}, past)
    assert scores("miscalibration", 2, judged) == pytest.approx([0, -log(0.01)])


def test_novelty_reads_the_same_popularity():
    judged = seen([("u", "a")], {"u": "e?"})
    assert scores("novelty", 2, judged) == pytest.approx([-log2(1 / 22)])


@pytest.mark.parametrize("metric", ["diversity", "popularity_bias", "miscalibration", "serendipity", "auc"])
@pytest.mark.parametrize("cut_offs", [(), (1, 4, 9)], ids=["one by one", "together"])
def test_equal_to_a_loop_over_users_on_a_random_world(metric, cut_offs):
    """The same formulas, one user at a time, in lists of different lengths, with a part of the truth."""
    rng = np.random.default_rng(3)
    items = [f"i{item}" for item in range(50)]
    names = np.array(["x", "y", "z", "w"])
    events = rng.integers(0, 20, 50)
    categories = [names[rng.random(4) < 0.4].tolist() for _ in items]
    vectors = rng.normal(size=(50, 8)).astype(np.float32)
    catalogue = Catalogue.of(
        pl.DataFrame({"item_id": items, "events": events, "categories": categories}), vectors
    )
    users = [f"u{user:02}" for user in range(30)]
    past = [(user, items[item]) for user in users for item in rng.integers(0, 50, rng.integers(0, 5))]
    truth = [
        (user, items[item]) for user in users for item in rng.choice(50, rng.integers(1, 6), replace=False)
    ]
    lists = {user: [items[at] for at in rng.permutation(50)[: rng.integers(0, 20)]] for user in users}
    judged = seen(truth, lists, past, catalogue, cut_offs)
    row = {item: at for at, item in enumerate(items)}
    p = (events + 1) / (events.sum() + 50)
    wanted = {user: {row[item] for owner, item in truth if owner == user} for user in users}
    level = np.mean([np.mean([p[item] for item in wanted[user]]) for user in users])
    share = np.array([[(name in some) / max(1, len(some)) for name in names] for some in categories])

    def one(user: str, k: int) -> float:
        shown = [row[item] for item in lists[user]][:k]
        if metric == "auc":
            unwanted = 50 - len(wanted[user])
            above = [sum(other not in wanted[user] for other in shown[:at]) for at in range(len(shown))]
            right = sum(unwanted - above[at] for at, item in enumerate(shown) if item in wanted[user])
            return right / (unwanted * len(wanted[user]))
        if metric == "diversity":
            unit = vectors[shown] / np.linalg.norm(vectors[shown], axis=1, keepdims=True)
            apart = [1 - unit[i] @ unit[j] for i in range(len(shown)) for j in range(i)]
            return float(np.mean(apart)) if apart else 0
        if metric == "popularity_bias":
            return float(np.mean(p[shown]) / level - 1) if shown else 0
        if metric == "serendipity":
            expected = events >= np.sort(events)[-k]
            return sum(item in wanted[user] and not expected[item] for item in shown) / k
        cared = sum((share[row[item]] for owner, item in past if owner == user), np.zeros(4))
        if not cared.sum():
            return 0
        cared = cared / cared.sum()
        got = share[shown].sum(axis=0) / max(1, len(shown))
        terms = [a * log(a / (0.99 * b + 0.01 * a)) for a, b in zip(cared, got, strict=True) if a]
        return sum(terms)

    for k in (1, 4, 15):
        assert scores(metric, k, judged) == pytest.approx([one(user, k) for user in users], abs=1e-6)
    if metric != "popularity_bias":  # its level is that of the part
        half = np.arange(30) % 2 == 0
        part = judged.part(judged.truth.part(half))
        assert scores(metric, 4, part) == pytest.approx(np.array(scores(metric, 4, judged))[half].tolist())


def test_what_a_metric_needs_is_known_or_not():
    assert {metric for metric in NEEDS if is_known(metric, None)} == set()
    size = Catalogue(5)
    assert {metric for metric in NEEDS if is_known(metric, size)} == {"auc", "coverage", "gini"}
    assert not is_known("miscalibration", CATALOGUE)
    judged = seen([("u", "a")], {"u": "a"}, [("u", "a")])
    assert {metric for metric in NEEDS if is_known(metric, CATALOGUE, judged.profiles)} == set(NEEDS)
