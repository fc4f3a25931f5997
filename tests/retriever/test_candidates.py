"""Candidates of several sources against every item scored, in batch and for one user."""

import numpy as np
import polars as pl
import pytest
from worlds import circle_shop

from aisle.data.errors import InputError
from aisle.data.prepared import BEFORE
from aisle.data.settings import TextSettings
from aisle.index.settings import IndexSettings, SearchSettings
from aisle.retriever.candidates import Retriever, build_index, retrieve
from aisle.retriever.pools import Pool
from aisle.retriever.settings import EncoderSettings, RetrieverSettings
from aisle.retriever.train import train
from aisle.retriever.weights import FUSED

CPU = IndexSettings(device="cpu")
PAST = BEFORE["test"]
K = 5


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A shop, the folder of its candidates, and its retriever; trained too little to be sure of anything."""
    folder = tmp_path_factory.mktemp("several")
    shop = circle_shop(folder / "prepare", users=60)
    settings = RetrieverSettings(
        encoder=EncoderSettings(max_tokens=16, precision="fp32"),
        towers=("hybrid", "ids"),
        dim=16,
        batch_size=16,
        warmup_steps=5,
        round_steps=4,
        max_rounds=3,
        precision="fp32",
    )
    train(shop, TextSettings(), settings, folder, seed=0)
    (folder / "index").mkdir()
    build_index(shop, folder / "model", folder / "index", CPU)
    retrieve(shop, folder / "model", folder / "index", folder, CPU, k=K)
    return shop, folder, Retriever.load(shop, folder / "model", folder / "index", CPU, folder / "vectors")


def test_the_best_of_all_items_are_found(world):
    shop, folder, retriever = world
    users, items = len(shop.user_ids), len(shop.item_ids)
    asked = retriever.sources.ask(np.arange(users), *PAST)
    everything = Pool.union(
        [(np.repeat(np.arange(users), items), np.tile(np.arange(items), users))], users, items
    )
    pool, _ = everything.without(asked.seen)
    scores = retriever.model.weights.fused.fused(
        retriever.sources.logits(asked, pool),
        asked.shares_of(pool),
        retriever.model.priors[FUSED][pool.items],
    )
    place, _ = pool.best(scores, K)
    run = pl.read_parquet(folder / "candidates.parquet")
    assert run["item_id"].to_list() == shop.item_ids.ids(pool.items[place])
    np.testing.assert_allclose(run["score"], scores[place], rtol=1e-5)


def test_one_user_gets_what_all_get(world):
    shop, folder, retriever = world
    run = pl.read_parquet(folder / "candidates.parquet")
    for row in (0, 17, 59):
        alone = retriever.candidates(np.array([row]), PAST, K)
        together = run.filter(pl.col("user_id") == shop.user_ids.values[row])
        assert alone["item_id"].equals(together["item_id"])
        np.testing.assert_allclose(alone["score"], together["score"], rtol=1e-5)


def test_every_source_is_there_alone_and_beside_the_score(world):
    _, folder, retriever = world
    names = ["two_tower", "two_tower_ids", "text_similarity", "co_occurrence", "words"]
    run = pl.read_parquet(folder / "candidates.parquet")
    assert run.columns == ["user_id", "rank", "item_id", "score", *names]
    assert {path.stem for path in (folder / "sources").iterdir()} == set(names)
    alone = pl.read_parquet(folder / "sources" / "co_occurrence.parquet")
    both = run.join(alone, on=["user_id", "item_id"], suffix="_alone")
    assert len(both)
    np.testing.assert_allclose(both["co_occurrence"], both["score_alone"], rtol=1e-5)
    weights = retriever.model.weights.validation
    assert set(weights) == {*names, FUSED}
    assert weights[FUSED] >= weights["two_tower"]


@pytest.mark.parametrize("kind", ["ivf_flat", "hnsw", "SQ8,RFlat"])
def test_any_kind_of_index_serves_a_run(world, tmp_path, kind):
    shop, folder, _ = world
    settings = IndexSettings(device="cpu", kind=kind, search=SearchSettings(nprobe=4, rescore=8, ef=256))
    build_index(shop, folder / "model", tmp_path, settings)
    retrieve(shop, folder / "model", tmp_path, tmp_path, settings, k=K, alone=False)
    found, exact = (pl.read_parquet(place / "candidates.parquet") for place in (tmp_path, folder))
    assert found["user_id"].equals(exact["user_id"])
    np.testing.assert_allclose(
        found["score"], exact["score"], rtol=1e-5
    )  # most items of this world are equal


def test_a_run_s_scores_are_inner_products(world, tmp_path):
    shop, folder, _ = world
    with pytest.raises(InputError, match="inner products"):
        build_index(shop, folder / "model", tmp_path, IndexSettings(metric="cosine"))
