"""Features of pairs, against plain loops; whoever else is asked about changes none."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from aisle.data.history import Histories
from aisle.data.ragged import offsets_of_sizes
from aisle.ranker import features as module
from aisle.ranker.features import DECAY, REACH, compute
from aisle.ranker.kinship import Near
from aisle.ranker.knowledge import Knowledge
from aisle.ranker.lists import Lists
from aisle.ranker.reviewers import Reviewers
from aisle.ranker.sentiment.standing import Prior

ITEMS = 12


def world(seed: int = 0) -> tuple[Lists, Histories, Knowledge]:
    """Users with no, few and many events; vectors point to both sides, some prices are unknown."""
    rng = np.random.default_rng(seed)
    lengths, sizes = np.array([0, 1, 2, 40, 3]), np.array([3, 7, 1, 4, 5])
    times = np.arange(lengths.sum())
    kinds = np.zeros(len(times), np.int8)
    histories = Histories(offsets_of_sizes(lengths), rng.integers(ITEMS, size=lengths.sum()), kinds, times)
    items = np.concatenate([rng.permutation(ITEMS)[:size] for size in sizes])
    scores = rng.normal(size=len(items)).astype(np.float32)
    scores[4] = np.nan
    lists = Lists(np.arange(len(sizes)), offsets_of_sizes(sizes), items, scores, {"towers": -scores})
    price = rng.normal(size=ITEMS).astype(np.float32)
    price[3] = np.nan
    dense = (rng.random((ITEMS, ITEMS)) * (rng.random((ITEMS, ITEMS)) < 0.5)).astype(np.float32)
    vectors = Near.of(rng.normal(size=(ITEMS, 3)).astype(np.float32)).vectors
    facts = {"popularity": rng.random(ITEMS).astype(np.float32), "price": price}
    return lists, histories, Knowledge({"next": sparse.csr_array(dense)}, {"text": vectors}, {}, facts)


def test_features_equal_plain_loops() -> None:
    lists, histories, knowledge = world()
    extra = {"sentiment.mean": np.linspace(0, 1, ITEMS).astype(np.float32)}
    features = compute(lists, histories, knowledge, extra)
    rows = [dict(zip(features.names, row, strict=True)) for row in features.values.tolist()]
    dense, vectors = knowledge.counted["next"].toarray(), knowledge.vectors["text"]
    price = knowledge.facts["price"]
    for pair, row in enumerate(rows):
        place, item = int(lists.owner[pair]), int(lists.items[pair])
        past = histories.items_of(place)
        newest = past[::-1][:REACH]
        weights = DECAY ** np.arange(len(newest))
        for name, near in (("next", dense[newest, item]), ("text", vectors[newest] @ vectors[item])):
            expected = {
                "last": near[0] if len(near) else 0,
                "second": near[1] if len(near) > 1 else 0,
                "most": max([0, *near]),
                "mean": near.mean() if len(near) else 0,
                "recent": (near * weights).sum(),
            }
            for what, value in expected.items():
                assert row[f"{name}.{what}"] == pytest.approx(value, abs=1e-5), (name, what)
        known = price[past][~np.isnan(price[past])]
        usual = known.mean() if len(known) else np.nan
        assert row["price.to user's"] == pytest.approx(price[item] - usual, abs=1e-5, nan_ok=True)
        assert row["user.events"] == pytest.approx(np.log1p(len(past)))
        assert row["sentiment.mean"] == pytest.approx(item / (ITEMS - 1))
        here = lists.scores[lists.offsets[place] : lists.offsets[place + 1]]
        gap = lists.scores[pair] - np.nanmax(here)
        assert row["retrieval.gap"] == pytest.approx(gap, abs=1e-5, nan_ok=True)


def test_an_item_is_held_against_what_its_user_gives() -> None:
    lists, histories, knowledge = world()
    ratings = np.full(len(histories.items), np.nan, np.float32)
    ratings[histories.offsets[3] : histories.offsets[3] + 2] = 5
    prior = Prior(0.4, 2, 0.1, 5, 0, 5, 0.2, 5)
    reviewers = Reviewers(len(histories.items), 30, prior)
    extra = {"sentiment.mean": np.linspace(0, 1, ITEMS).astype(np.float32)}
    starred = replace(histories, ratings=ratings)
    features = compute(lists, starred, knowledge, extra, reviewers=reviewers)
    place = {name: column for column, name in enumerate(features.names)}
    mean = np.where(lists.owner == 3, (2 * 1 + 2 * 0.4) / 4, 0.4)
    assert features.values[:, place["sentiment.user's mean"]] == pytest.approx(mean)
    relative = extra["sentiment.mean"][lists.items] - mean
    assert features.values[:, place["sentiment.to user's"]] == pytest.approx(relative, abs=1e-6)
    assert not any(name.startswith("sentiment") for name in features.without(["sentiment"]).names)


@pytest.mark.parametrize("places", [1, 8, 1 << 14])
def test_others_beside_a_list_change_nothing(places: int, monkeypatch: pytest.MonkeyPatch) -> None:
    lists, histories, knowledge = world()
    together = compute(lists, histories, knowledge)
    monkeypatch.setattr(module, "PLACES", places)
    alone = [compute(lists.take(np.array([one])), histories, knowledge) for one in range(len(lists))]
    assert np.concatenate([one.values for one in alone]) == pytest.approx(
        together.values, abs=1e-6, nan_ok=True
    )
    assert compute(lists, histories, knowledge).values == pytest.approx(
        together.values, abs=1e-6, nan_ok=True
    )
