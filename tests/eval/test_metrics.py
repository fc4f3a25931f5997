"""Metrics by arithmetic, against a slow oracle, and against ir_measures."""

from math import log2

import ir_measures
import numpy as np
import polars as pl
import pytest
from ir_measures import AP, RR, P, R, Rprec, Success, nDCG

from aisle.eval.catalogue import Catalogue
from aisle.eval.judged import Judged
from aisle.eval.judging import judge
from aisle.eval.metrics.measure import CATALOGUE_METRICS, USER_METRICS, Measure, parse
from aisle.eval.runs import check_run, check_truth


def judged(truth, run, **kwargs) -> Judged:
    """Truth as (user, item[, relevance]), run as (user, item, score)."""
    columns = ["user_id", "item_id", "relevance"][: len(truth[0])]
    wanted = check_truth(pl.DataFrame(truth, schema=columns, orient="row"))
    rows = pl.DataFrame(run, schema=["user_id", "item_id", "score"], orient="row")
    return judge(check_run(rows, wanted, "run"), wanted, **{"depth": 10} | kwargs)


def scores(metric: str, k: int, seen: Judged) -> list[float]:
    return USER_METRICS[metric](seen, k).tolist()


@pytest.fixture
def two_users() -> Judged:
    """u1 wants a, b, c and gets x a y b; u2 wants d and gets nothing."""
    truth = [("u1", "a"), ("u1", "b"), ("u1", "c"), ("u2", "d")]
    run = [("u1", "x", 4.0), ("u1", "a", 3.0), ("u1", "y", 2.0), ("u1", "b", 1.0)]
    return judged(truth, run, catalogue=Catalogue(8))


IDEAL_OF_THREE = 1 + 1 / log2(3) + 1 / log2(4)


@pytest.mark.parametrize(
    ("measure", "expected"),
    [
        ("recall@2", 1 / 3),
        ("recall@4", 2 / 3),
        ("recall_capped@2", 1 / 2),
        ("recall_capped@10", 2 / 3),
        ("precision@2", 1 / 2),
        ("precision@10", 2 / 10),
        ("hit_rate@1", 0),
        ("hit_rate@2", 1),
        ("mrr@1", 0),
        ("mrr@10", 1 / 2),
        ("map@2", (1 / 2) / 3),
        ("map@10", (1 / 2 + 2 / 4) / 3),
        ("ndcg@2", (1 / log2(3)) / (1 + 1 / log2(3))),
        ("ndcg@10", (1 / log2(3) + 1 / log2(5)) / IDEAL_OF_THREE),
        ("ndcg_exp@10", (1 / log2(3) + 1 / log2(5)) / IDEAL_OF_THREE),
        ("r_precision@10", 1 / 3),
        ("r_precision@1", 0),
    ],
)
def test_values_by_hand_and_zero_for_a_user_without_results(two_users, measure, expected):
    metric, k = parse(measure)
    assert scores(metric, k, two_users) == pytest.approx([expected, 0])


def test_ties_count_against_the_run_whatever_the_order_of_its_rows():
    run = [("u", "a", 1.0), ("u", "x", 1.0), ("u", "y", 1.0), ("u", "z", 0.5)]
    for order in (run, run[::-1]):
        seen = judged([("u", "a")], order)
        assert seen.hit_ranks.tolist() == [3]
        assert scores("mrr", 10, seen) == [1 / 3]
        assert scores("hit_rate", 2, seen) == [0]


def test_among_ties_of_relevant_items_the_less_relevant_come_first():
    seen = judged([("u", "a", 3), ("u", "b", 1)], [("u", "a", 1.0), ("u", "b", 1.0)])
    assert scores("ndcg", 10, seen) == pytest.approx([(1 + 3 / log2(3)) / (3 + 1 / log2(3))])
    assert scores("ndcg_exp", 10, seen) == pytest.approx([(1 + 7 / log2(3)) / (7 + 1 / log2(3))])


def test_a_user_whose_items_are_all_judged_irrelevant_stays_and_scores_zero():
    seen = judged([("u", "a", 0), ("v", "b", 1)], [("u", "a", 1.0), ("v", "b", 1.0)])
    for metric in ("recall", "recall_capped", "precision", "hit_rate", "mrr", "map", "ndcg", "r_precision"):
        assert scores(metric, 1, seen) == [0, 1]


def test_hits_below_the_depth_of_the_lists_still_count():
    run = [("u", item, -float(place)) for place, item in enumerate("xyzab")]
    seen = judged([("u", "a"), ("u", "b")], run, depth=1)
    assert seen.hit_ranks.tolist() == [4, 5]
    assert seen.list_ranks.tolist() == [1]


def test_coverage_counts_distinct_items_of_the_catalogue_in_the_first_k():
    truth = [("u", "a"), ("v", "a")]
    run = [("u", "a", 2.0), ("u", "b", 1.0), ("v", "a", 2.0), ("v", "c", 1.0), ("w", "d", 1.0)]
    by_number = judged(truth, run, catalogue=Catalogue(4))
    assert [CATALOGUE_METRICS["coverage"](by_number, k) for k in (1, 2)] == [1 / 4, 3 / 4]
    by_ids = judged(truth, run, catalogue=Catalogue.of(pl.DataFrame({"item_id": ["a", "b", "e", "f", "g"]})))
    assert [CATALOGUE_METRICS["coverage"](by_ids, k) for k in (1, 2)] == [1 / 5, 2 / 5]


def test_gini_is_zero_for_equal_shares_and_one_for_a_single_item():
    equal = judged([("u", "a"), ("v", "b")], [("u", "a", 1.0), ("v", "b", 1.0)], catalogue=Catalogue(2))
    single = judged([("u", "a"), ("v", "a")], [("u", "a", 1.0), ("v", "a", 1.0)], catalogue=Catalogue(5))
    assert CATALOGUE_METRICS["gini"](equal, 1) == pytest.approx(0)
    assert CATALOGUE_METRICS["gini"](single, 1) == pytest.approx(1)


def test_gini_equals_the_mean_absolute_difference_form():
    generator = np.random.default_rng(0)
    users = [f"u{user}" for user in range(30)]
    run = [
        (user, f"i{item}", float(item)) for user in users for item in generator.choice(12, 4, replace=False)
    ]
    seen = judged([(user, "i0") for user in users], run, catalogue=Catalogue(15))
    shown = np.append(seen.exposure(3), np.zeros(15 - len(seen.items)))
    spread = np.abs(shown[:, None] - shown[None, :]).sum() / (2 * 15 * 15 * shown.mean())
    assert CATALOGUE_METRICS["gini"](seen, 3) == pytest.approx(spread * 15 / 14)


def test_novelty_is_the_mean_self_information_of_what_is_shown():
    popularity = pl.DataFrame({"item_id": ["a", "b"], "events": [3, 1]})
    run = [("u", "a", 2.0), ("u", "b", 1.0)]
    seen = judged([("u", "a"), ("v", "a")], run, catalogue=Catalogue.of(popularity))
    assert scores("novelty", 1, seen) == pytest.approx([-log2(4 / 6), 0])
    assert scores("novelty", 2, seen) == pytest.approx([(-log2(4 / 6) - log2(2 / 6)) / 2, 0])


def random_world(seed: int, users: int = 60, items: int = 80):
    """Graded truth and a run with distinct scores; some users without results, some without truth."""
    generator = np.random.default_rng(seed)
    truth, run = [], []
    for user in range(users):
        wanted = generator.choice(items, generator.integers(1, 15), replace=False)
        if user % 10 != 7:
            truth += [(f"u{user}", f"i{item}", int(generator.integers(1, 4))) for item in wanted]
        listed = generator.choice(items, generator.integers(1, 40), replace=False)
        if user % 10 != 3:
            values = generator.permutation(len(listed)) / 7
            run += [(f"u{user}", f"i{item}", float(v)) for item, v in zip(listed, values, strict=True)]
    return truth, run


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("k", [1, 3, 10, 50])
def test_equal_to_ir_measures_on_random_runs(seed, k):
    truth, run = random_world(seed)
    pairs = {
        "recall": R @ k,
        "precision": P @ k,
        "hit_rate": Success @ k,
        "mrr": RR @ k,
        "map": AP @ k,
        "ndcg": nDCG @ k,
    }
    qrels = [ir_measures.Qrel(*row) for row in truth]
    docs = [ir_measures.ScoredDoc(*row) for row in run]
    expected = ir_measures.calc_aggregate([*pairs.values(), Rprec], qrels, docs)
    seen = judged(truth, run)
    for metric, measure in pairs.items():
        assert np.mean(USER_METRICS[metric](seen, k)) == pytest.approx(expected[measure], abs=1e-9), metric
    whole = np.mean(USER_METRICS["r_precision"](seen, 100))
    assert whole == pytest.approx(expected[Rprec], abs=1e-9)
    exponential = [ir_measures.Qrel(user, item, 2**gain - 1) for user, item, gain in truth]
    expected_exp = ir_measures.calc_aggregate([nDCG @ k], exponential, docs)[nDCG @ k]
    assert np.mean(USER_METRICS["ndcg_exp"](seen, k)) == pytest.approx(expected_exp, abs=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_equal_to_ir_measures_where_scores_tie(seed):
    """They order ties by the ids; given the places that ties against the run have, they find the same."""
    truth, run = random_world(seed)
    run = [(user, item, float(int(score))) for user, item, score in run]
    gains = {(user, item): gain for user, item, gain in truth}
    worst = sorted(run, key=lambda row: (row[0], -row[2], gains.get(row[:2], 0)))
    docs = [ir_measures.ScoredDoc(user, item, -float(at)) for at, (user, item, _) in enumerate(worst)]
    qrels = [ir_measures.Qrel(*row) for row in truth]
    seen = judged(truth, run)
    for k in (1, 7, 30):
        pairs = {"recall": R @ k, "precision": P @ k, "hit_rate": Success @ k, "mrr": RR @ k, "map": AP @ k}
        pairs |= {"ndcg": nDCG @ k}
        expected = ir_measures.calc_aggregate([*pairs.values()], qrels, docs)
        for metric, measure in pairs.items():
            found = np.mean(USER_METRICS[metric](seen, k))
            assert found == pytest.approx(expected[measure], abs=1e-9), (metric, k)


@pytest.mark.parametrize("seed", range(5))
def test_equal_to_a_slow_oracle_where_scores_tie(seed):
    """Ranks found by counting, user by user, instead of by sorting and grouping."""
    truth, run = random_world(seed)
    run = [(user, item, float(int(score))) for user, item, score in run]
    seen = judged(truth, run)
    gains = {(user, item): gain for user, item, gain in truth}
    users = sorted({user for user, *_ in truth})
    for row, user in enumerate(users):
        listed = [(item, score, gains.get((user, item), 0)) for owner, item, score in run if owner == user]
        ranks = sorted(
            1
            + sum(s > score or (s == score and g < gain) for _, s, g in listed)
            + sum(s == score and g == gain for _, s, g in listed[:place])
            for place, (_, score, gain) in enumerate(listed)
            if gain > 0
        )
        assert seen.hit_ranks[seen.hit_users == row].tolist() == ranks
        relevant = sum(1 for owner, *_ in truth if owner == user)
        precisions = [at / rank for at, rank in enumerate(ranks, 1) if rank <= 10]
        assert USER_METRICS["map"](seen, 10)[row] == pytest.approx(sum(precisions) / relevant)


def test_measures_are_read_and_written_alike():
    assert parse("ndcg@10") == Measure("ndcg", 10)
    assert str(Measure("ndcg", 10)) == "ndcg@10"


@pytest.mark.parametrize("text", ["ndcg", "ndcg@0", "ndcg@-1", "ndcg@x", "@3"])
def test_a_measure_of_another_form_is_refused(text):
    with pytest.raises(ValueError, match="metric@k"):
        parse(text)


def test_an_unknown_metric_is_refused_with_the_nearest_name():
    with pytest.raises(ValueError, match="did you mean recall"):
        parse("recal@10")
