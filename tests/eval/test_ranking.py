"""Exact full ranking in blocks equals sorting all scores, and its memory is that of a block."""

import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from aisle.data.errors import InputError
from aisle.data.ids import Ids
from aisle.data.ragged import offsets_of_sizes
from aisle.eval.lists import Lists
from aisle.eval.ranking import inner_products, rank_all

levels = st.sampled_from([0.0, 0.5, 1.0, -1.0, -np.inf, np.inf, np.nan])


def table(scores: np.ndarray):
    """A block scorer that reads a table; each block may be changed."""
    return lambda rows, first, last: scores[rows, first:last].copy()


def found(blocks) -> dict[int, list[tuple[int, float]]]:
    lists: dict[int, list[tuple[int, float]]] = {}
    for block in blocks:
        lists |= {int(user): [] for user in block.users}
        owners = block.users[block.lists.users].tolist()
        for owner, item, score in zip(owners, block.lists.items.tolist(), block.scores.tolist(), strict=True):
            lists[owner].append((item, score))
    return lists


@settings(max_examples=150, deadline=None)
@given(
    hnp.arrays(np.float32, st.tuples(st.integers(1, 5), st.integers(1, 25)), elements=levels),
    st.integers(1, 30),
    st.integers(1, 3),
    st.integers(1, 6),
    st.data(),
)
def test_blocks_equal_sorting(scores: Any, k: int, users_at_once: int, items_at_once: int, data: Any) -> None:
    users, items = scores.shape
    seen = [data.draw(st.lists(st.integers(0, items - 1), max_size=4)) for _ in range(users)]
    mask = Lists(
        offsets_of_sizes(np.array([len(some) for some in seen])),
        np.array([item for some in seen for item in some], np.int64),
    )
    expected = {
        user: [
            (item, float(scores[user, item]))
            for item in sorted(range(items), key=lambda item: (-scores[user, item], item))
            if np.isfinite(scores[user, item]) and item not in seen[user]
        ]
        for user in range(users)
    }
    finite = {user: sorted(rows, key=lambda row: (-row[1], row[0]))[:k] for user, rows in expected.items()}
    rows = np.arange(users)[::-1]
    blocks = rank_all(
        table(scores), rows, items, k, seen=mask, users_at_once=users_at_once, items_at_once=items_at_once
    )
    assert found(blocks) == finite


def test_many_items_and_late_best_ones():
    """The best items come last, so that every block brings new ones."""
    rng = np.random.default_rng(0)
    users, items = rng.normal(size=(30, 8)).astype(np.float32), rng.normal(size=(4000, 8)).astype(np.float32)
    items *= np.linspace(0, 5, 4000, dtype=np.float32)[:, None]
    lists = found(
        rank_all(inner_products(users, items), np.arange(30), 4000, 20, users_at_once=7, items_at_once=128)
    )
    for user in range(30):
        best = np.argsort(-(users[user] @ items.T), kind="stable")[:20]
        assert [item for item, _ in lists[user]] == best.tolist()


def test_as_a_run():
    scores = np.array([[1, 3, 2], [0, 5, 9]], np.float32)
    (block,) = rank_all(table(scores), np.array([1, 0]), 3, 2)
    run = block.run(Ids(["u", "v"]), Ids(["a", "b", "c"]))
    assert run.rows() == [("v", 1, "c", 9.0), ("v", 2, "b", 5.0), ("u", 1, "b", 3.0), ("u", 2, "c", 2.0)]


def peak(users: int, items: int, k: int) -> int:
    """Bytes that ranking takes at most, beside the vectors, if results are dropped as they come."""
    rng = np.random.default_rng(0)
    score = inner_products(
        rng.normal(size=(users, 4)).astype(np.float32), rng.normal(size=(items, 4)).astype(np.float32)
    )
    tracemalloc.start()
    for _ in rank_all(score, np.arange(users), items, k, users_at_once=128, items_at_once=1024):
        pass
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


def test_memory_is_that_of_a_block():
    block = 128 * 1024
    assert peak(256, 4096, 10) < 16 * block, "about 10 bytes a score, and the lists"
    assert peak(512, 16384, 10) < 1.05 * peak(256, 4096, 10), "8 times the scores, the same memory"


def test_what_cannot_be_ranked_is_refused():
    ones = np.ones((2, 3), np.float32)
    with pytest.raises(InputError, match="k of 1 or more"):
        next(rank_all(table(ones), np.arange(2), 3, 0))
    with pytest.raises(InputError, match="one dimension"):
        inner_products(ones, np.ones((2, 4), np.float32))
    with pytest.raises(InputError, match="finite item vectors"):
        inner_products(ones, np.array([[1, np.nan, 0]], np.float32))
