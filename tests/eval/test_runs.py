"""Runs and truth are checked before anything is measured on them."""

import numpy as np
import polars as pl
import pytest

from aisle.data.errors import InputError
from aisle.eval.catalogue import Catalogue
from aisle.eval.files import read_catalogue, read_run, read_truth
from aisle.eval.judging import judge
from aisle.eval.runs import check_run, check_truth

TRUTH = pl.DataFrame({"user_id": ["u", "v"], "item_id": ["a", "b"]})
RUN = pl.DataFrame(
    {"user_id": ["u", "u", "v"], "rank": [1, 2, 1], "item_id": ["a", "x", "y"], "score": [2.0, 1.0, 3.0]}
)


def test_a_good_run_passes_with_its_rows_in_order():
    run = check_run(RUN, check_truth(TRUTH), "mine")
    assert run.to_dict(as_series=False) == RUN.drop("rank").to_dict(as_series=False)


def test_a_missing_column_is_named_with_its_nearest_neighbour():
    with pytest.raises(InputError, match="rename 'userid' to 'user_id'"):
        check_run(RUN.rename({"user_id": "userid"}), check_truth(TRUTH), "mine")
    with pytest.raises(InputError, match="rename 'item' to 'item_id'"):
        check_truth(TRUTH.rename({"item_id": "item"}))
    with pytest.raises(InputError, match="add the column 'score'"):
        check_run(RUN.drop("score", "rank"), check_truth(TRUTH), "mine")


def test_the_rank_stands_in_for_a_missing_score():
    run = check_run(RUN.drop("score"), check_truth(TRUTH), "mine")
    assert run["score"].to_list() == [-1, -2, -1]


@pytest.mark.parametrize("score", [float("nan"), float("inf"), float("-inf"), None])
def test_a_score_that_is_not_finite_is_refused(score):
    run = RUN.with_columns(score=pl.Series([score, 1.0, 3.0]))
    with pytest.raises(InputError, match="finite scores in run 'mine'"):
        check_run(run, check_truth(TRUTH), "mine")


@pytest.mark.parametrize("rank", [0, -1, None, 1.5])
def test_ranks_are_whole_numbers_from_1(rank):
    for run in (RUN, RUN.drop("score")):
        with pytest.raises(InputError, match="whole numbers from 1"):
            check_run(run.with_columns(rank=pl.Series([rank, 2, 1])), check_truth(TRUTH), "mine")


def test_text_in_place_of_numbers_is_refused():
    with pytest.raises(InputError, match="numbers as score in run 'mine'"):
        check_run(RUN.with_columns(score=pl.lit("high")), check_truth(TRUTH), "mine")
    with pytest.raises(InputError, match="numbers as rank in run 'mine'"):
        check_run(RUN.drop("score").with_columns(rank=pl.lit("1")), check_truth(TRUTH), "mine")
    with pytest.raises(InputError, match="numbers as relevance in truth"):
        check_truth(TRUTH.with_columns(relevance=pl.lit("much")))


def test_ranks_that_contradict_the_scores_are_refused():
    with pytest.raises(InputError, match="negate the scores"):
        check_run(RUN.with_columns(-pl.col("score")), check_truth(TRUTH), "mine")


def test_ids_of_another_type_than_the_truths_are_refused():
    numbers = RUN.with_columns(item_id=pl.Series([1, 2, 3]))
    with pytest.raises(InputError, match="item_id as text") as error:
        check_run(numbers, check_truth(TRUTH), "mine")
    assert error.value.found == "whole numbers in run 'mine'"
    with pytest.raises(InputError, match="Float64"):
        check_run(RUN.with_columns(item_id=pl.Series([1.0, 2, 3])), check_truth(TRUTH), "mine")


def test_whole_numbers_on_both_sides_are_ids_too():
    truth = check_truth(pl.DataFrame({"user_id": [7, 8], "item_id": [1, 2]}))
    run = pl.DataFrame({"user_id": [8, 8], "item_id": [3, 2], "score": [2, 1]})
    seen = judge(check_run(run, truth, "mine"), truth, depth=5)
    assert truth.users.values.to_list() == ["7", "8"]
    assert (seen.hit_users.tolist(), seen.hit_ranks.tolist()) == ([1], [2])


def test_null_ids_are_refused():
    with pytest.raises(InputError, match="1 null in run 'mine'"):
        check_run(RUN.with_columns(item_id=pl.Series(["a", None, "y"])), check_truth(TRUTH), "mine")


def test_the_same_item_twice_for_a_user_is_refused():
    run = pl.concat([RUN, RUN.with_columns(pl.col("score") - 5, rank=pl.lit(9, pl.Int64))])
    truth = check_truth(TRUTH)
    with pytest.raises(InputError, match="3 or more repeats, such as item 'a' of user 'u'"):
        judge(check_run(run, truth, "mine"), truth, depth=5)


def test_a_run_for_other_users_only_is_refused():
    with pytest.raises(InputError, match="ids look like 'x', not 'u'"):
        check_run(RUN.with_columns(user_id=pl.Series(["x", "x", "y"])), check_truth(TRUTH), "mine")


def test_a_run_without_rows_scores_zero():
    truth = check_truth(TRUTH)
    seen = judge(check_run(RUN.clear(), truth, "mine"), truth, depth=5)
    assert seen.hits(5).tolist() == [0, 0]


def test_truth_merges_repeats_and_keeps_users_without_relevant_items():
    rows = [("u", "a", 1), ("u", "a", 1), ("w", "c", 0)]
    truth = check_truth(pl.DataFrame(rows, schema=["user_id", "item_id", "relevance"], orient="row"))
    assert truth.repeats == 1
    assert truth.users.values.to_list() == ["u", "w"]
    assert truth.relevant.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("truth", "message"),
    [
        (TRUTH.clear(), "no rows"),
        (TRUTH.with_columns(relevance=pl.Series([1, -1])), "not negative"),
        (TRUTH.with_columns(relevance=pl.Series([1.0, float("nan")])), "not negative"),
        (TRUTH.with_columns(relevance=pl.Series([1, None])), "not negative"),
        (TRUTH.with_columns(user_id=pl.Series(["u", None])), "null in truth"),
        (TRUTH.with_columns(kind=pl.Series(["view", "purchase"])), "several kinds: purchase, view"),
        (
            pl.DataFrame({"user_id": ["u", "u"], "item_id": ["a", "a"], "relevance": [1, 2]}),
            "several for user 'u' and item 'a'",
        ),
    ],
)
def test_a_truth_that_cannot_be_used_is_refused(truth, message):
    with pytest.raises(InputError, match=message):
        check_truth(truth)


def test_more_distinct_items_than_the_catalogue_are_refused():
    truth = check_truth(TRUTH)
    with pytest.raises(InputError, match="3 distinct items in the run"):
        judge(check_run(RUN, truth, "mine"), truth, depth=5, catalogue=Catalogue(2))


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ({"sku": ["a"]}, "column 'item_id'"),
        ({"item_id": ["a", "a"]}, "'a' more than once"),
        ({"item_id": ["a", None]}, "1 null ids"),
        ({"item_id": ["a"], "events": [-1]}, "events of every item"),
        ({"item_id": ["a"], "events": [float("nan")]}, "events of every item"),
        ({"item_id": ["a"], "price": ["cheap"]}, "'price'"),
        ({"item_id": [7, 8]}, "which look like 'a'; the catalogue's look like '7'"),
        ({"item_id": pl.Series([], dtype=pl.String)}, "it is empty"),
    ],
)
def test_a_catalogue_that_cannot_be_used_is_refused(items, message):
    truth = check_truth(TRUTH)
    with pytest.raises(InputError, match=message):
        judge(check_run(RUN, truth, "mine"), truth, depth=5, catalogue=Catalogue.of(pl.DataFrame(items)))


@pytest.mark.parametrize("vectors", [[[1.0, 2.0]], [[1.0, 2.0], [np.nan, 0.0]], [[1.0, 2.0], [np.inf, 0.0]]])
def test_vectors_that_cannot_be_used_are_refused(vectors):
    with pytest.raises(InputError, match="vectors"):
        Catalogue.of(pl.DataFrame({"item_id": ["a", "b"]}), np.array(vectors, np.float32))


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        ({"item_id": ["a"]}, "a column 'vector'"),
        ({"item_id": ["a"], "vector": ["1 2"]}, "lists of numbers"),
        ({"item_id": ["a", "b"], "vector": [[1.0], [1.0, 2.0]]}, "one length"),
        ({"item_id": ["a", "b"], "vector": [[1.0], None]}, "null or infinite"),
        ({"item_id": ["a", "b"], "vector": [[1.0], [float("nan")]]}, "null or infinite"),
    ],
)
def test_files_of_vectors_that_cannot_be_used_are_refused(tmp_path, vectors, message):
    pl.DataFrame({"item_id": ["a", "b"]}).write_parquet(tmp_path / "items.parquet")
    pl.DataFrame(vectors).write_parquet(tmp_path / "vectors.parquet")
    with pytest.raises(InputError, match=message):
        read_catalogue(tmp_path / "items.parquet", tmp_path / "vectors.parquet")


def test_parquet_is_read_as_it_is(tmp_path):
    RUN.write_parquet(tmp_path / "run.parquet")
    TRUTH.write_parquet(tmp_path / "truth.parquet")
    assert read_run(tmp_path / "run.parquet").equals(RUN)
    assert read_truth(tmp_path / "truth.parquet").equals(TRUTH)


def test_qrels_are_read_with_their_relevances(tmp_path):
    (tmp_path / "their.qrels").write_text("q1 0 d1 2\nq1 0 d2 0\n")
    assert read_truth(tmp_path / "their.qrels").rows() == [("q1", "d1", 2.0), ("q1", "d2", 0.0)]


def test_trec_text_is_read_with_tabs_and_runs_of_spaces(tmp_path):
    path = tmp_path / "their.run"
    path.write_text("q1 Q0  d1 1 2.5 bm25\nq1\tQ0\td2\t2\t1e-1\tbm25\n")
    assert read_run(path).rows() == [("q1", "d1", 2.5), ("q1", "d2", 0.1)]


def test_bad_files_say_what_and_where(tmp_path):
    run = tmp_path / "x.run"
    with pytest.raises(InputError, match="no file"):
        read_run(run)
    run.write_text("")
    with pytest.raises(InputError, match="is empty"):
        read_run(run)
    run.write_text("q1 Q0 d1 1 2.5 bm25\nq1 Q0 d2 2.0\n")
    with pytest.raises(InputError, match="line 2"):
        read_run(run)
    run.write_text("q1 Q0 d1 1 high bm25\n")
    with pytest.raises(InputError, match="'high'"):
        read_run(run)
    text = tmp_path / "x.parquet"
    text.write_text("not parquet, but long enough to look")
    with pytest.raises(InputError, match="a Parquet file"):
        read_run(text)
