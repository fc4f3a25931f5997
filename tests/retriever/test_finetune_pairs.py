"""Pairs come from what happened, and the frequent do not drown the rest."""

import numpy as np
import pytest
from worlds import write_prepared

from aisle.retriever.finetune.pairs import chances, neighbours, recent, same_user, shop_pairs
from aisle.retriever.finetune.settings import FinetuneSettings

ITEMS = [{"item_id": item, "title": item * 3} for item in "abcdef"] + [{"item_id": "g"}]
TEXTS = [item["item_id"] * 3 if "title" in item else "" for item in ITEMS]


def event(
    user: str, position: int, item: str | None, kind: str = "purchase", text: str | None = None
) -> dict:
    return {"user_id": user, "position": position, "item_id": item, "kind": kind, "text": text}


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    events = [
        event("u", 0, None, "search", " red\n shoes "),
        event("u", 1, "a", "view"),
        event("u", 2, "a", "click"),
        event("u", 3, "b"),
        event("u", 4, None, "search", "hats"),
        event("u", 5, "c"),
        event("v", 0, "b"),
        event("v", 1, None, "search", ""),
        event("v", 2, "d"),
        event("v", 3, "g"),
        event("w", 0, None, "search", "red shoes"),
        event("w", 1, "e"),
    ]
    parts = {"train": events, "validation": [event("w", 2, "f")], "test": []}
    return write_prepared(tmp_path_factory.mktemp("pairs") / "prepare", ITEMS, parts)


def named(pairs) -> set[tuple[str, str]]:
    return {(pairs.texts[a], pairs.texts[p]) for a, p in zip(pairs.anchors, pairs.positives, strict=True)}


def made(shop, kind, *parts, **changes):
    settings = FinetuneSettings(pairs=(kind,), user_balance=0.0, item_balance=0.0, **changes)
    return shop_pairs(shop, TEXTS, settings, *(parts or ("train",)))


def test_next_items(shop):
    assert named(made(shop, "next_item")) == {("aaa", "bbb"), ("bbb", "ccc"), ("bbb", "ddd")}


def test_items_of_one_user_in_both_orders(shop):
    one_way = {("aaa", "bbb"), ("bbb", "ccc"), ("aaa", "ccc"), ("bbb", "ddd")}
    both = one_way | {(b, a) for a, b in one_way}
    assert named(made(shop, "same_user")) == both
    assert named(made(shop, "same_user", window=1)) == both - {("aaa", "ccc"), ("ccc", "aaa")}


def test_a_search_belongs_to_what_was_taken_before_the_next_one(shop):
    pairs = made(shop, "query_product")
    assert named(pairs) == {
        ("red shoes", "aaa"),
        ("red shoes", "bbb"),
        ("hats", "ccc"),
        ("red shoes", "eee"),
    }
    assert len(pairs.texts) == len(TEXTS) + 2


def test_only_the_parts_asked_for_are_read(shop):
    assert ("eee", "fff") not in named(made(shop, "next_item"))
    assert ("eee", "fff") in named(made(shop, "next_item", "train", "validation"))


def test_texts_that_share_a_user_or_a_search_are_related(shop):
    pairs = made(shop, "query_product")
    rows = [pairs.texts.index(text) for text in ("aaa", "ccc", "ddd", "eee", "red shoes")]
    related = pairs.related(np.array(rows), np.array(rows))
    slow = [
        [bool((pairs.groups[[one]].toarray() * pairs.groups[[other]].toarray()).any()) for other in rows]
        for one in rows
    ]
    np.testing.assert_array_equal(related, slow)
    a, c, d, e, shoes = range(5)
    assert related[a, c]  # both of u
    assert not related[a, d]
    assert related[shoes, e]
    assert related[shoes, a]
    assert not related[shoes, c]
    assert related[a, e]  # both answer the same search


def test_histories_are_cut_to_the_most_recent_distinct_items(shop):
    histories = recent(shop.histories("train"), 2)
    assert [shop.item_ids.ids(histories.items_of(user)) for user in range(3)] == [
        ["b", "c"],
        ["d", "g"],
        ["e"],
    ]


def test_neighbours_stay_within_a_user(shop):
    histories = recent(shop.histories("train"), 50)
    slow = [
        (user, int(items[place]), int(items[place + steps]))
        for steps in (1, 2)
        for user in range(len(histories))
        for items in [histories.items_of(user)]
        for place in range(len(items) - steps)
    ]
    fast = np.concatenate([neighbours(histories, 1), neighbours(histories, 2)])
    assert sorted(map(tuple, fast.tolist())) == sorted(slow)
    assert len(same_user(histories, 2)) == 2 * len(slow)


def test_heavy_users_and_popular_items_are_held_down():
    owners, positives = np.array([0, 0, 0, 0, 1]), np.array([7, 7, 8, 9, 7])
    np.testing.assert_allclose(chances(owners, positives, 0.0, 0.0), 1 / 5)
    by_user = chances(owners, positives, 1.0, 0.0)
    np.testing.assert_allclose(by_user, [1 / 8, 1 / 8, 1 / 8, 1 / 8, 1 / 2])
    by_item = chances(owners, positives, 0.0, 1.0)
    np.testing.assert_allclose(by_item, [1 / 9, 1 / 9, 1 / 3, 1 / 3, 1 / 9])
    half = np.array([4**-0.5 * 3**-0.5] * 2 + [4**-0.5] * 2 + [3**-0.5])
    np.testing.assert_allclose(chances(owners, positives, 0.5, 0.5), half / half.sum())


def test_the_share_of_a_text_is_its_chance_to_be_a_positive(shop):
    pairs = made(shop, "next_item")
    share = pairs.log_share()
    np.testing.assert_allclose(share[[1, 2, 3]], np.log(1 / 3), rtol=1e-6)
    assert share[0] == 0
