"""A teacher's file: what is read, what is refused, and that the towers learn from it."""

import logging

import numpy as np
import polars as pl
import pytest
import torch
from worlds import circle_shop

from aisle.data.errors import InputError
from aisle.retriever.batches import TextPast
from aisle.retriever.teacher import read_teacher


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return circle_shop(tmp_path_factory.mktemp("circle") / "prepare", users=20)


def written(tmp_path, **columns):
    path = tmp_path / "teacher.parquet"
    pl.DataFrame(columns).write_parquet(path)
    return path


PAIRS = {
    "user_id": ["u0001", "u0003", "u0001", "u0001", "nobody", "u0007"],
    "item_id": ["shampoo-red", "shampoo-red", "perfume-red", "nothing", "shampoo-red", "perfume-red"],
    "score": [1.0, 2.0, 3.0, 9.0, 9.0, 4.0],
}


def test_lists_are_of_users_with_two_pairs_best_first(shop, tmp_path, caplog):
    pairs = {
        name: [*values, more]
        for (name, values), more in zip(PAIRS.items(), ("u0003", "shampoo-blue", 7), strict=True)
    }
    with caplog.at_level(logging.INFO, "aisle"):
        teacher = read_teacher(written(tmp_path, **pairs), shop)
    assert shop.user_ids.ids(teacher.users) == ["u0001", "u0003"]
    assert [shop.item_ids.ids(row) for row in teacher.items] == [
        ["perfume-red", "shampoo-red"],
        ["shampoo-blue", "shampoo-red"],
    ]
    assert teacher.scores.tolist() == [[3, 1], [7, 2]]
    assert "4 of 7 pairs used, 2 of unknown users or items, 1 alone" in caplog.text


def test_steps_draw_their_own_lists_and_the_same_again(shop, tmp_path):
    users = [f"u{user:04}" for user in range(20) for _ in range(2 + user % 2)]
    items = shop.item_ids.ids(np.array([place for user in range(20) for place in range(2 + user % 2)]))
    path = written(
        tmp_path, user_id=users, item_id=items, score=[float(place) for place in range(len(users))]
    )
    teacher = read_teacher(path, shop)
    first, again, next_step = (teacher.choose(5, (0, step)).tolist() for step in (3, 3, 4))
    assert first == again != next_step
    assert len(set(first)) == 5
    taught = teacher.lists(np.array([0, 1]), TextPast(torch.zeros(2, 1)))
    assert taught.present.tolist() == [[True, True, False], [True, True, True]]
    assert len(teacher.choose(500, (0, 0))) == 20


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"score": [1.0, 2.0, float("nan"), 1.0, 1.0, 1.0]}, "1 of 6 are not"),
        ({"score": [1.0, None, None, 1.0, 1.0, 1.0]}, "2 of 6 are not"),
        ({"score": ["good"] * 6}, "String"),
        ({"user_id": list(range(6))}, "Int64"),
        ({"user_id": ["u0001"] * 6}, "more than once"),
        ({"user_id": ["nobody", "no one", "none", "nil", "void", "x"]}, "none among 6 pairs"),
    ],
)
def test_files_that_are_no_teacher(shop, tmp_path, changes, found):
    with pytest.raises(InputError) as caught:
        read_teacher(written(tmp_path, **{**PAIRS, **changes}), shop)
    assert found in caught.value.found


def test_no_file_and_a_file_without_the_columns(shop, tmp_path):
    with pytest.raises(InputError, match="teacher"):
        read_teacher(tmp_path / "nothing.parquet", shop)
    with pytest.raises(InputError, match="user_id and item_id"):
        read_teacher(written(tmp_path, user_id=["u0001"], item_id=["perfume-red"]), shop)
    (tmp_path / "junk.parquet").write_bytes(b"junk")
    with pytest.raises(InputError, match="a Parquet file"):
        read_teacher(tmp_path / "junk.parquet", shop)
