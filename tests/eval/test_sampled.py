"""Sampled metrics are the mean over all samples, drawn one by one here; the report says what they do."""

from itertools import combinations
from math import log2

import numpy as np
import polars as pl
import pytest

from aisle.data.errors import InputError
from aisle.eval.catalogue import Catalogue
from aisle.eval.evaluate import evaluate
from aisle.eval.judged import Judged
from aisle.eval.judging import judge
from aisle.eval.metrics.measure import USER_METRICS, Measure
from aisle.eval.runs import check_run, check_truth
from aisle.eval.sampled import sampled
from aisle.eval.settings import EvaluateSettings

ITEMS = "abcdefgh"
MEASURES = [Measure(metric, k) for metric in ("recall", "ndcg", "mrr") for k in (1, 3)]


def judged(truth: dict[str, str], lists: dict[str, str], catalogue: Catalogue | None = None) -> Judged:
    pairs = [(user, item) for user, items in truth.items() for item in items]
    rows = [(user, item, -float(at)) for user, items in lists.items() for at, item in enumerate(items)]
    wanted = check_truth(pl.DataFrame(pairs, schema=["user_id", "item_id"], orient="row"))
    run = pl.DataFrame(rows, schema=["user_id", "item_id", "score"], orient="row")
    return judge(
        check_run(run, wanted, "run"), wanted, depth=20, catalogue=catalogue or Catalogue(len(ITEMS))
    )


@pytest.mark.parametrize("negatives", [1, 3, 6])
def test_equal_to_the_mean_over_all_samples(negatives):
    truth, lists = {"u": "c", "v": "bg", "w": "a"}, {"u": "abcd", "v": "gabcdefh"}
    worth = {
        "recall": lambda rank: 1.0,
        "ndcg": lambda rank: 1 / log2(rank + 1),
        "mrr": lambda rank: 1 / rank,
    }

    def of_pair(user: str, item: str, metric: str, k: int) -> float:
        """A wanted item among each sample in turn; what is not listed stands below all others."""
        others = [other for other in ITEMS if other not in truth[user]]
        order = {other: at for at, other in enumerate(lists.get(user, ""))}
        place = order.get(item, len(ITEMS))
        values = []
        for sample in combinations(others, negatives):
            rank = 1 + sum(order.get(other, len(ITEMS)) <= place for other in sample)
            values.append(worth[metric](rank) if rank <= k else 0.0)
        return float(np.mean(values))

    found = sampled(judged(truth, lists), MEASURES, negatives)
    measures = [measure for measure in MEASURES if measure.k <= negatives]
    assert list(found) == [str(measure) for measure in measures]
    for metric, k in measures:
        users = [np.mean([of_pair(user, item, metric, k) for item in items]) for user, items in truth.items()]
        assert found[f"{metric}@{k}"].sample == pytest.approx(np.mean(users)), (metric, k)
    every = sampled(judged(truth, lists), MEASURES, 6)
    assert all(found[name].all == every[name].all for name in found)


def test_a_sample_of_all_others_is_exact():
    seen = judged({"u": "c", "v": "b"}, {"u": "abcd", "v": "gabcdefh"})
    found = sampled(seen, MEASURES, len(ITEMS) - 1)
    for metric, k in MEASURES:
        assert found[f"{metric}@{k}"].sample == pytest.approx(USER_METRICS[metric](seen, k).mean())
        assert found[f"{metric}@{k}"].sample == pytest.approx(found[f"{metric}@{k}"].all)


def test_runs_of_items_outside_the_catalogue_have_values_too():
    others = "".join(chr(ord("m") + at) for at in range(12))
    known = Catalogue.of(pl.DataFrame({"item_id": list(ITEMS)}))
    found = sampled(judged({"u": "c"}, {"u": others + "c"}, known), MEASURES, 6)
    assert set(found.values()) == {(0.0, 0.0)}


def test_more_negatives_than_there_are_others_are_refused():
    with pytest.raises(InputError, match="at most 6 sampled items"):
        sampled(judged({"u": "ab"}, {"u": "ab"}), MEASURES, 7)


def test_the_report_says_what_sampling_does():
    """One model has the item first for a third of the users, else nowhere; the other at rank 60."""
    items, users = [f"i{item:03}" for item in range(1000)], [f"u{user:03}" for user in range(300)]
    truth = pl.DataFrame({"user_id": users, "item_id": items[:300]})

    def run(place) -> pl.DataFrame:
        rows = []
        for user, name in enumerate(users):
            others = [item for item in items[300:400] if item != items[user]]
            others.insert(place(user), items[user])
            rows += [(name, item, -float(at)) for at, item in enumerate(others[:100])]
        return pl.DataFrame(rows, schema=["user_id", "item_id", "score"], orient="row")

    runs = {"sharp": run(lambda user: 0 if user % 3 == 0 else 200), "vague": run(lambda user: 59)}
    quick = EvaluateSettings(k=(10, 50), resamples=100, permutations=100, sampled_negatives=50)
    report = evaluate(truth, runs, catalogue=Catalogue(1000), settings=quick)
    assert report.models["sharp"]["recall@10"].value == pytest.approx(1 / 3)
    assert report.models["vague"]["recall@10"].value == 0
    assert report.sampled is not None
    assert report.sampled.negatives == 50
    assert report.sampled.models["sharp"]["recall@10"] == pytest.approx(1 / 3, abs=1e-6)
    assert report.sampled.models["vague"]["recall@10"] > 0.99
    said = " ".join(report.warnings)
    assert "rank 1 in a sample stands for ranks down to about 20" in said
    assert "Sampling swaps 4 of 6 pairs of models on a measure, such as sharp, which is above vague" in said
    assert "farthest away in recall@50 of vague: 1.0000 among 50, 0.0000 among all" in said
    assert report.sampled.alone["sharp"]["recall@10"] == report.models["sharp"]["recall@10"].value
    assert evaluate(truth, runs, settings=quick).sampled is None
    plain = quick.model_copy(update={"sampled_negatives": 0})
    assert evaluate(truth, runs, catalogue=Catalogue(1000), settings=plain).sampled is None
