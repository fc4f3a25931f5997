"""Runs and truth to a report."""

import time

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from aisle.data.errors import InputError
from aisle.eval.catalogue import Catalogue
from aisle.eval.changes import Evaluation, changes
from aisle.eval.evaluate import evaluate, evaluate_files
from aisle.eval.settings import EvaluateSettings

USERS, ITEMS = 400, 50
QUICK = EvaluateSettings(k=(1, 10), resamples=200, permutations=1000)


def shop_truth(users: int = USERS, items: int = ITEMS) -> pl.DataFrame:
    wanted = np.random.default_rng(0).integers(items, size=users)
    return pl.DataFrame({"user_id": [f"u{u}" for u in range(users)], "item_id": [f"i{i}" for i in wanted]})


def model(chance: float, seed: int, k: int = 10, users: int = USERS, items: int = ITEMS) -> pl.DataFrame:
    """A run that puts the wanted item first with probability `chance`, above a random list without it."""
    generator = np.random.default_rng(seed)
    truth = shop_truth(users, items)
    wanted = truth["item_id"].str.slice(1).cast(pl.Int64).to_numpy()
    offsets = np.sort(generator.random((users, items - 1)).argsort(axis=1)[:, :k]) + 1
    lists = (wanted[:, None] + generator.permuted(offsets, axis=1)) % items
    lists[:, 0] = np.where(generator.random(users) < chance, wanted, lists[:, 0])
    return pl.DataFrame(
        {
            "user_id": np.repeat(truth["user_id"].to_numpy(), k),
            "rank": np.tile(np.arange(1, k + 1), users),
            "item_id": [f"i{item}" for item in lists.ravel()],
            "score": np.tile(np.arange(k, 0, -1).astype(float), users),
        }
    )


@pytest.fixture(scope="module")
def runs():
    return {"poor": model(0.2, 1), "good": model(0.5, 2), "also_good": model(0.5, 3)}


@pytest.fixture(scope="module")
def report(runs):
    return evaluate(shop_truth(), runs, catalogue=Catalogue(ITEMS), settings=QUICK, ours=["good"])


def test_values_are_means_over_all_users_with_intervals_around_them(report, runs):
    hits = runs["good"].join(shop_truth(), on=["user_id", "item_id"])
    found = report.models["good"]["recall@10"]
    assert found.value == pytest.approx(len(hits) / USERS)
    assert found.low < found.value < found.high
    spread = 1.96 * (found.value * (1 - found.value) / USERS) ** 0.5
    assert (found.low, found.high) == pytest.approx((found.value - spread, found.value + spread), abs=0.015)


def test_measures_of_the_catalogue_have_no_interval(report):
    found = report.models["good"]["coverage@10"]
    assert (found.value, found.low, found.high) == (1, None, None)


def test_words_follow_the_tests(report):
    clear = report.comparison("good", "poor", "ndcg@10")
    assert (clear.outcome, clear.p_holm < 0.05, clear.low > 0) == ("better", True, True)
    assert report.comparison("poor", "good", "ndcg@10").outcome == "worse"
    close = report.comparison("good", "also_good", "ndcg@10")
    assert (close.outcome, close.p_holm > 0.05) == ("undecided", True)


def test_every_pair_is_compared_on_every_tested_measure(report):
    assert len(report.comparisons) == 3 * 2
    assert {test.measure for test in report.comparisons} == {"ndcg@10", "recall@10"}
    assert all(test.p_holm >= test.p for test in report.comparisons)


def test_the_difference_is_that_of_the_values(report):
    for test in report.comparisons:
        one, other = (report.models[name][test.measure].value for name in (test.model, test.other))
        assert test.difference == pytest.approx(one - other)
        assert test.low <= test.difference <= test.high


def test_the_same_seed_gives_the_same_report_and_another_does_not(report, runs):
    again = evaluate(shop_truth(), runs, catalogue=Catalogue(ITEMS), settings=QUICK, ours=["good"])
    other = evaluate(shop_truth(), runs, catalogue=Catalogue(ITEMS), settings=QUICK, ours=["good"], seed=1)
    assert again == report
    assert other.models["good"]["recall@10"].value == report.models["good"]["recall@10"].value
    assert other.models["good"]["recall@10"] != report.models["good"]["recall@10"]


def test_users_are_never_dropped_and_always_counted(runs):
    half = runs["good"].filter(pl.col("user_id").str.slice(1).cast(pl.Int64) < USERS // 2)
    strangers = runs["good"].head(10).with_columns(user_id=pl.lit("stranger"))
    strangers = strangers.with_columns(item_id=pl.Series([f"i{i}" for i in range(10)]))
    report = evaluate(shop_truth(), {"half": pl.concat([half, strangers])}, settings=QUICK)
    counts = report.runs["half"]
    assert (counts.users_without_results, counts.users_ignored) == (USERS // 2, 1)
    hits = len(half.join(shop_truth(), on=["user_id", "item_id"]))
    assert report.models["half"]["hit_rate@10"].value == pytest.approx(hits / USERS)
    assert any("leaves out 200 of 400 users" in warning for warning in report.warnings)
    assert any("1 users outside the truth" in warning for warning in report.warnings)


def test_lists_shorter_than_the_cut_off_are_warned_of(runs):
    settings = EvaluateSettings(k=(5, 10, 20, 50), resamples=100, permutations=100)
    report = evaluate(shop_truth(), {"good": runs["good"]}, settings=settings)
    assert report.runs["good"].longest == 10
    assert any("at most 10 items a user; at k = 20, 50" in warning for warning in report.warnings)


def test_items_outside_the_catalogue_are_counted(runs):
    catalogue = Catalogue.of(pl.DataFrame({"item_id": [f"i{item}" for item in range(ITEMS - 3)]}))
    report = evaluate(shop_truth(), {"good": runs["good"]}, catalogue=catalogue, settings=QUICK)
    assert report.runs["good"].items_outside == 3


def test_what_is_not_known_is_left_out_and_said(runs):
    bare = evaluate(shop_truth(), {"good": runs["good"]}, settings=QUICK)
    metrics = {name.partition("@")[0] for name in bare.models["good"]}
    assert metrics == {"recall", "ndcg", "mrr", "hit_rate", "precision", "map", "r_precision"}
    assert bare.warnings == [
        "The catalogue was not given: auc, coverage and gini are left out.",
        "The popularity of the items was not given: novelty, serendipity and popularity_bias are left out.",
        "Vectors of the items were not given: diversity is left out.",
        "Categories of the items, or the past of the users, were not given: miscalibration is left out.",
    ]
    items = pl.DataFrame(
        {"item_id": [f"i{item}" for item in range(ITEMS)], "categories": [["even"], ["odd"]] * (ITEMS // 2)}
    )
    vectors = np.random.default_rng(0).normal(size=(ITEMS, 4)).astype(np.float32)
    full = evaluate(
        shop_truth(),
        {"good": runs["good"]},
        catalogue=Catalogue.of(items, vectors),
        past=shop_truth(),
        settings=QUICK,
    )
    assert {name.partition("@")[0] for name in full.models["good"]} == set(QUICK.metrics)
    assert full.warnings == []


def test_too_few_permutations_for_so_many_comparisons_are_warned_of(runs):
    settings = EvaluateSettings(k=(10,), resamples=100, permutations=100)
    report = evaluate(shop_truth(), runs, settings=settings)
    assert any("too many for 100 permutations" in warning for warning in report.warnings)
    assert {test.outcome for test in report.comparisons} == {"undecided"}


def test_bad_calls_are_refused(runs):
    with pytest.raises(InputError, match="at least one run"):
        evaluate(shop_truth(), {})
    with pytest.raises(InputError, match="'theirs'"):
        evaluate(shop_truth(), runs, settings=QUICK, ours=["theirs"])


@pytest.mark.parametrize(
    "settings",
    [
        {"k": (0, 10)},
        {"k": ()},
        {"metrics": ("recal",)},
        {"primary": "ndcg@7"},
        {"tested": ("coverage@10",)},
        {"resampels": 100},
    ],
)
def test_bad_settings_are_refused(settings):
    with pytest.raises(ValueError, match="validation error"):
        EvaluateSettings.model_validate(settings)


def test_files_alone_are_enough(tmp_path, runs, report):
    qrels = shop_truth().select("user_id", pl.lit(0).alias("iteration"), "item_id", relevance=pl.lit(1))
    qrels.write_csv(tmp_path / "truth.qrels", separator=" ", include_header=False)
    runs["good"].write_parquet(tmp_path / "good.parquet")
    trec = runs["poor"].select("user_id", pl.lit("Q0"), "item_id", "rank", "score", tag=pl.lit("poor"))
    trec.write_csv(tmp_path / "poor.trec", separator=" ", include_header=False)
    paths = {"good": tmp_path / "good.parquet", "poor": tmp_path / "poor.trec"}
    found = evaluate_files(paths, tmp_path / "truth.qrels", settings=QUICK)
    for name in ("good", "poor"):
        assert found.models[name].items() <= report.models[name].items()


def test_files_beside_the_run_give_what_more_is_to_know(tmp_path, runs):
    files = {"run": runs["good"], "truth": shop_truth(), "train": shop_truth()}
    names = [f"i{item}" for item in range(ITEMS)]
    files["items"] = pl.DataFrame({"item_id": names, "category": ["even", "odd"] * (ITEMS // 2)})
    vectors = np.random.default_rng(0).normal(size=(ITEMS, 4)).astype(np.float32)
    files["vectors"] = pl.DataFrame({"item_id": names[::-1], "vector": vectors[::-1]}).head(ITEMS - 1)
    at = {name: tmp_path / f"{name}.parquet" for name in files}
    for name, frame in files.items():
        frame.write_parquet(at[name])
    found = evaluate_files(
        {"good": at["run"]}, at["truth"], catalogue=at["items"], vectors=at["vectors"], train=at["train"],
        settings=QUICK,
    )  # fmt: skip
    vectors[0] = 0
    items = files["items"].select("item_id", pl.concat_list("category").alias("categories"))
    full = evaluate(
        shop_truth(),
        {"good": runs["good"]},
        catalogue=Catalogue.of(items, vectors),
        past=shop_truth(),
        settings=QUICK,
    )
    assert found.models == full.models


def test_a_catalogue_file_gives_the_items(tmp_path, runs):
    shop_truth().write_parquet(tmp_path / "truth.parquet")
    runs["good"].write_parquet(tmp_path / "good.parquet")
    pl.DataFrame({"item_id": [f"i{item}" for item in range(ITEMS)]}).write_parquet(tmp_path / "items.parquet")
    files = ({"good": tmp_path / "good.parquet"}, tmp_path / "truth.parquet")
    found = evaluate_files(*files, catalogue=tmp_path / "items.parquet", settings=QUICK)
    assert found.protocol["catalogue"] == ITEMS
    pl.DataFrame({"sku": ["i1"]}).write_parquet(tmp_path / "items.parquet")
    with pytest.raises(InputError, match="column 'item_id'"):
        evaluate_files(*files, catalogue=tmp_path / "items.parquet", settings=QUICK)


def test_reports_of_one_protocol_compare_and_others_are_refused(report, runs):
    later = evaluate(shop_truth(), {"good": runs["also_good"]}, catalogue=Catalogue(ITEMS), settings=QUICK)
    both = changes(Evaluation(report), Evaluation(later))
    (found,) = [change for change in both if (change.model, change.measure) == ("good", "ndcg@10")]
    assert found.difference == pytest.approx(
        report.models["also_good"]["ndcg@10"].value - report.models["good"]["ndcg@10"].value
    )
    masked = evaluate(
        shop_truth(), runs, catalogue=Catalogue(ITEMS), settings=QUICK, protocol={"masking": "seen"}
    )
    with pytest.raises(InputError, match='masking: "as given" in the first, "seen" in the second'):
        changes(Evaluation(report), Evaluation(masked))
    strangers = evaluate(shop_truth(), {"new": runs["good"]}, catalogue=Catalogue(ITEMS), settings=QUICK)
    with pytest.raises(InputError, match="poor, good, also_good in the first, new in the second"):
        changes(Evaluation(report), Evaluation(strangers))


@pytest.mark.slow
def test_a_whole_benchmark_takes_less_than_a_minute():
    users, items, k = 22_363, 500, 100
    truth = shop_truth(users, items)
    runs = {f"m{seed}": model(0.02 * seed, seed, k, users, items) for seed in range(12)}
    started = time.process_time()
    report = evaluate(truth, runs, catalogue=Catalogue(items))
    assert time.process_time() - started < 60
    assert (len(report.models), report.method.resamples) == (12, 1000)


def test_what_is_neither_good_nor_bad_decides_nothing():
    for changed in ({"primary": "miscalibration@10"}, {"tested": ("popularity_bias@10",)}):
        with pytest.raises(ValidationError, match="neither better nor worse"):
            EvaluateSettings.model_validate(changed)


def test_what_decides_has_to_be_measured():
    runs = {"mine": model(0.5, 1), "other": model(0.2, 2)}
    asked = EvaluateSettings(k=(10,), primary="auc@10", tested=("serendipity@10",))
    with pytest.raises(InputError, match="auc@10 is measured with: catalogue"):
        evaluate(shop_truth(), runs, settings=asked)
    assert EvaluateSettings(k=(10,), metrics=("ndcg",)).tested == ("ndcg@10",)
    wanted = shop_truth().with_columns(relevance=pl.lit(2000))
    degrees = EvaluateSettings(k=(10,), metrics=("ndcg", "ndcg_exp"))
    with pytest.raises(InputError, match="relevances up to 50"):
        evaluate(wanted, runs, settings=degrees)


@pytest.mark.parametrize(("cut_offs", "k"), [((5, 20), 5), ([100, 20], 20), ((1,), 1), ((1, 10), 10)])
def test_the_measures_that_nobody_set_follow_the_cut_offs(cut_offs, k):
    settings = EvaluateSettings.model_validate({"k": cut_offs})
    assert settings.primary == f"ndcg@{k}"
    assert settings.tested == (f"ndcg@{k}", f"recall@{k}")
    assert EvaluateSettings(k=(5, 20), primary="mrr@20", tested=()).primary == "mrr@20"
    with pytest.raises(ValidationError, match="ndcg@10 is not measured"):
        EvaluateSettings(k=(5, 20), primary="ndcg@10")
