"""What validation chooses: planted shops where the right choice is known, and that nothing later is read."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy import sparse
from worlds import circle_shop

from aisle.data.history import Histories
from aisle.data.prepared import Prepared
from aisle.data.schema import DAY
from aisle.retriever import weights
from aisle.retriever.fusion import Fusion, choose
from aisle.retriever.model import build
from aisle.retriever.pools import Judged, Pool
from aisle.retriever.prior import PriorTable
from aisle.retriever.settings import RetrieverSettings
from aisle.retriever.similarity import TextSimilarity
from aisle.retriever.sources import Sources
from aisle.retriever.users import SequenceUsers
from aisle.retriever.validation import ndcg, relevant_in_validation
from aisle.retriever.words import neighbours

SETTINGS = RetrieverSettings(dim=8, heads=2, towers=("ids",))


@pytest.fixture
def shop(tmp_path):
    return circle_shop(tmp_path / "prepare", users=80)


def untrained(shop, neighbours=None, similarity=None):
    """Towers that know nothing, beside sources that may."""
    import torch

    torch.manual_seed(0)
    items = len(shop.item_ids)
    towers = {"two_tower": build(SETTINGS, "ids", None, torch.ones(items, dtype=torch.bool), 0).eval()}
    users = SequenceUsers(shop, SETTINGS)
    return Sources.of(towers, {"two_tower": 0.07}, similarity, neighbours or {}, users)


def test_co_occurrence_of_a_circle_is_forward_and_recent(shop):
    users = SequenceUsers(shop, SETTINGS)
    found = weights.choose_co_occurrence(shop, users, seed=0)
    assert found.back < 1  # the next colour follows, it does not lead


def test_a_source_that_knows_outweighs_towers_that_do_not(shop):
    users = SequenceUsers(shop, SETTINGS)
    pairs = weights.Pairs(users.histories("train"), len(shop.item_ids))
    settings = weights.choose_co_occurrence(shop, users, seed=0)
    sources = untrained(shop, {"co_occurrence": weights.co_occurrence(pairs, settings)})
    found = weights.choose_weights(shop, sources, seed=0)
    assert found.fused.shares[0].weight > 0
    assert found.validation["fused"] > 0.5 > found.validation["two_tower"]
    assert found.validation["fused"] == max(found.validation.values())
    assert found == weights.Weights.of_json(found.as_json())


def test_the_best_decay_of_texts_is_chosen(shop):
    users = SequenceUsers(shop, SETTINGS)
    vectors = np.random.default_rng(2).normal(size=(len(shop.item_ids), 3)).astype(np.float32)
    relevant, histories = relevant_in_validation(shop, users), users.histories("train")

    def value(decay):
        means = TextSimilarity(vectors, decay).users(histories, relevant.users)
        return float(ndcg(means @ vectors.T, relevant.items, relevant.seen).mean())

    values = {decay: value(decay) for decay in weights.DECAYS}
    assert len(set(values.values())) > 1
    assert values[weights.choose_decay(shop, users, vectors, seed=0)] == max(values.values())


def test_the_best_decay_of_words_is_chosen(shop):
    """Things of the next colour follow each other, so that recent words say most."""
    users = SequenceUsers(shop, SETTINGS)
    items = len(shop.item_ids)
    similar = sparse.csr_array(np.random.default_rng(3).random((items, items)).astype(np.float32))
    relevant, histories = relevant_in_validation(shop, users), users.histories("train")

    def value(decay):
        scores = neighbours(similar, decay).scores(histories, relevant.users).toarray()
        return float(ndcg(scores, relevant.items, relevant.seen).mean())

    values = {decay: value(decay) for decay in weights.DECAYS}
    assert len(set(values.values())) > 1
    assert values[weights.choose_words(shop, users, similar, seed=0)] == max(values.values())


def test_later_events_are_not_read(shop):
    """Other items in validation and test change nothing of what the sources say before."""
    users = np.arange(len(shop.user_ids))
    vectors = np.random.default_rng(0).normal(size=(len(shop.item_ids), 5)).astype(np.float32)
    before = untrained(shop, similarity=TextSimilarity(vectors, 0.5)).ask(users, *weights.PAST)
    for part in ("validation", "test"):
        path = shop.folder / "split" / f"{part}.parquet"
        pl.read_parquet(path).with_columns(item_id=pl.lit("lipstick-red")).write_parquet(path)
    after = untrained(Prepared(shop.folder), similarity=TextSimilarity(vectors, 0.5)).ask(
        users, *weights.PAST
    )
    for one, other in zip(before.vectors, after.vectors, strict=True):
        np.testing.assert_array_equal(one, other)
    assert all((one == other).all() for one, other in zip(before.seen, after.seen, strict=True))


def test_unsold_and_popular_items_are_in_the_pool(shop, monkeypatch):
    monkeypatch.setattr(weights, "DEPTH", 1)
    monkeypatch.setattr(weights, "POPULAR", 2)
    sources = untrained(shop)
    asked = sources.ask(np.arange(3), *weights.PAST)
    nothing = Histories(np.array([0, 2]), np.array([4, 5]), np.array([3, 3], np.int8), np.array([0, 0]))
    priors = PriorTable(nothing, len(shop.item_ids), timed=False)
    pool = weights._Near(sources, priors).pool(replace(asked, seen=[np.empty(0, np.int64)] * 3))
    for user in range(3):
        items = pool.items[pool.offsets[user] : pool.offsets[user + 1]]
        assert {4, 5} <= set(items)
        assert set(items) - {4, 5}  # the best of those that were never sold


def test_recent_popularity_is_found_where_old_popularity_misleads():
    """Ten bestsellers of a year ago, ten items that sell now, and the truth among these."""
    old, new, users = np.repeat(np.arange(10), 1000), np.repeat(np.arange(10, 20), 10), 200
    items = np.concatenate([old, new])
    days = np.concatenate([np.zeros(len(old), np.int64), np.full(len(new), 365)])
    past = Histories(np.array([0, len(items)]), items, np.full(len(items), 3, np.int8), days * DAY)
    random = np.random.default_rng(0)
    pool = Pool.union([(np.repeat(np.arange(users), 20), np.tile(np.arange(20), users))], users, 20)
    judged = Judged(pool, [random.integers(10, 20, 1) for _ in range(users)])
    noise = random.normal(size=users * 20).astype(np.float32)
    fusion, value = choose(judged, [noise], [], pool.items, PriorTable(past, 20, timed=True))
    assert fusion.prior.popularity > 0
    assert fusion.prior.half_life is not None
    assert value > 1.5 * judged.ndcg(noise)
    assert isinstance(fusion, Fusion)
