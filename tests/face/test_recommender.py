"""Answers from Python: the same as the night's, for visitors too, and with items that came later."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import aisle
from aisle.data.errors import InputError


@pytest.fixture(scope="module")
def shop(tea_run: Path) -> "aisle.Recommender":
    return aisle.Recommender.open(tea_run)


def test_users_get_what_the_night_found(tea_run: Path, shop: "aisle.Recommender") -> None:
    night = pl.read_parquet(tea_run / "candidates" / "candidates.parquet")
    asked = ["u07", "u20"]
    day = shop.for_users(asked, k=3)
    for user in asked:
        one, other = (found.filter(pl.col("user_id") == user)["item_id"] for found in (night, day))
        assert one.equals(other)


def test_a_visitor_is_a_user_without_training(shop: "aisle.Recommender") -> None:
    events = pl.DataFrame({"user_id": ["v", "v", "w"], "item_id": ["i0", "i1", "i4"]})
    found = shop.for_visitors(events, k=1)
    assert found["user_id"].to_list() == ["v", "w"]
    assert found["item_id"].to_list() == ["i2", "i5"]


def test_a_visitor_with_a_user_s_past_gets_the_same(shop: "aisle.Recommender") -> None:
    past = shop.prepared.events("train", "validation").filter(pl.col("user_id") == "u07").collect()
    visitor = past.with_columns(user_id=pl.lit("somebody"))
    columns = ["item_id", "score"]
    assert (
        shop.for_visitors(visitor, k=3).select(columns).equals(shop.for_users(["u07"], k=3).select(columns))
    )


def test_a_new_item_is_found_by_its_text_at_once(shop: "aisle.Recommender") -> None:
    new = pl.DataFrame({"item_id": ["oolong", "mallet"], "title": ["oolong tea", "rubber hammer"]})
    longer = shop.with_items(new)
    events = pl.DataFrame({"user_id": ["v"] * 4 + ["w"] * 4, "item_id": [f"i{row}" for row in range(8)]})
    found = longer.for_visitors(events, k=20)
    assert found.group_by("user_id").len()["len"].to_list() == [6, 6]
    ranks = {(row["user_id"], row["item_id"]): row["rank"] for row in found.to_dicts()}
    assert ranks["v", "oolong"] < ranks["v", "mallet"]
    assert ranks["w", "mallet"] < ranks["w", "oolong"]
    known = [name for name in longer.for_users(["u07"], k=20)["item_id"] if name.startswith("i")]
    assert known == shop.for_users(["u07"], k=20)["item_id"].to_list()


def test_no_items_are_wanted(shop: "aisle.Recommender") -> None:
    events = pl.DataFrame({"user_id": ["v"], "item_id": ["i0"]})
    for ask in (
        lambda: shop.recommend(["i0"], k=0),
        lambda: shop.for_users(["u07"], k=0),
        lambda: shop.for_visitors(events, k=0),
    ):
        with pytest.raises(InputError, match="k of at least 1"):
            ask()


def test_nobody_asks(shop: "aisle.Recommender") -> None:
    assert shop.for_users([]).is_empty()
    nobody = pl.DataFrame(schema={"user_id": pl.String, "item_id": pl.String})
    assert shop.for_visitors(nobody).columns == shop.for_users(["u07"]).columns


def test_a_visitor_s_answer_is_the_same_in_any_company(shop: "aisle.Recommender") -> None:
    first = datetime(2023, 11, 15, tzinfo=UTC)
    alone = pl.DataFrame({"user_id": ["v"], "item_id": ["i1"], "timestamp": [first]})
    later = pl.DataFrame({"user_id": ["w"], "item_id": ["i5"], "timestamp": [first + timedelta(days=700)]})
    together = shop.for_visitors(pl.concat([alone, later])).filter(pl.col("user_id") == "v")
    assert_frame_equal(together, shop.for_visitors(alone), rel_tol=1e-4)


def test_more_than_there_are(shop: "aisle.Recommender") -> None:
    assert len(shop.for_users(["u07"], k=10**10)) == 8 - 3


def test_new_items_keep_all_users(shop: "aisle.Recommender") -> None:
    longer = shop.with_items(pl.DataFrame({"item_id": ["a"], "title": ["mint tea"]}))
    again = longer.with_items(pl.DataFrame({"item_id": ["b"], "title": ["rusty hammer"]}))
    assert again.prepared.user_ids.values.equals(shop.prepared.user_ids.values)
    assert again.prepared.truth("test").equals(shop.prepared.truth("test"))
    assert {"a", "b"} < set(again.for_users(["u07"], k=20)["item_id"])


def test_bad_questions(shop: "aisle.Recommender", tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown id 'nobody'"):
        shop.for_users(["nobody"])
    with pytest.raises(InputError, match="add user_id"):
        shop.for_visitors(pl.DataFrame({"item_id": ["i0"]}))
    with pytest.raises(InputError, match="rename or drop colour"):
        shop.for_visitors(pl.DataFrame({"user_id": ["v"], "item_id": ["i0"], "colour": ["red"]}))
    with pytest.raises(InputError, match="timestamps as times"):
        shop.for_visitors(pl.DataFrame({"user_id": ["v"], "item_id": ["i0"], "timestamp": [1_700_000_000]}))
    with pytest.raises(InputError, match="time zone"):
        shop.for_visitors(pl.DataFrame({"user_id": ["v"], "item_id": ["i0"]}), now=datetime(2024, 1, 1))
    with pytest.raises(InputError, match="'i0' twice"):
        shop.with_items(pl.DataFrame({"item_id": ["i0"], "title": ["again"]}))
    with pytest.raises(InputError, match="rename or drop name"):
        shop.with_items(pl.DataFrame({"item_id": ["x"], "name": ["again"]}))
    with pytest.raises(InputError, match="aisle prepare"):
        aisle.Recommender.open(tmp_path)


def test_an_index_can_be_tuned_on_what_users_ask(tea_run: Path, shop: "aisle.Recommender") -> None:
    from aisle.index_tuning import of_run
    from aisle.settings import Settings

    vectors, queries = of_run(tea_run, Settings(), 5)
    np.testing.assert_array_equal(vectors, shop.retriever.index.vectors)
    assert queries.shape == (5, vectors.shape[1])
