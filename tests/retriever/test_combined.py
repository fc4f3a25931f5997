"""Sequence and text of a user's history together."""

import hashlib

import numpy as np
import polars as pl
import pytest
import torch
from worlds import asking_shop, best_item_rate

from aisle.data.history import Histories
from aisle.data.prepared import BEFORE
from aisle.data.settings import HistoryTemplates, TextSettings
from aisle.data.visitors import Visitors
from aisle.retriever.batches import SequenceDataset
from aisle.retriever.combined import CombinedDataset, CombinedTower, user_tower
from aisle.retriever.encoder import Encoder
from aisle.retriever.settings import EncoderSettings, RetrieverSettings
from aisle.retriever.towers import ItemTower
from aisle.retriever.train import train
from aisle.retriever.users import users_of

SEARCHES = TextSettings(history=HistoryTemplates(purchase=("{price}",)), history_tokens=4)
SETTINGS = RetrieverSettings(
    encoder=EncoderSettings(max_tokens=32, precision="fp32"),
    dim=32,
    batch_size=32,
    learning_rate=1e-2,
    warmup_steps=5,
    max_rounds=15,
    precision="fp32",
    dropout=0.1,
)


def words(self, texts, *_):
    """A language model that knows words and not their order: the sum of a random vector of each."""
    vectors = np.zeros((len(texts), self.dim), np.float32)
    for row, text in enumerate(texts):
        for word in text.split():
            seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "little")
            vectors[row] += np.random.default_rng(seed).normal(size=self.dim)
        vectors[row] /= max(1e-9, np.linalg.norm(vectors[row]))
    return vectors


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return asking_shop(tmp_path_factory.mktemp("asking") / "prepare")


@pytest.mark.parametrize(
    ("kind", "least", "most"), [("sequence", 0.3, 0.7), ("text", 0, 0.3), ("both", 0.9, 1)]
)
def test_only_both_together_know_what_comes_next(shop, tmp_path, monkeypatch, kind, least, most):
    """The sequence can know half of the right items, a text of the search alone an eighth."""
    monkeypatch.setattr(Encoder, "encode", words)
    train(shop, SEARCHES, SETTINGS.model_copy(update={"user_tower": kind}), tmp_path, seed=0)
    rate = best_item_rate(shop, tmp_path / "model")
    assert least <= rate <= most


def test_the_texts_are_those_before_the_last_targets(shop, tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr(Encoder, "encode", lambda self, texts, *_: read.extend(texts) or words(self, texts))
    settings = SETTINGS.model_copy(update={"user_tower": "both", "text_examples": 1})
    dataset = users_of(shop, SEARCHES, settings, None, tmp_path).examples("train")
    user = int(dataset.users[0])
    examples = dataset.collate([user])["examples"]
    last = shop.item_ids.ids(examples.target_rows[-1:].numpy())[0]
    assert examples.read.tolist() == [len(examples.target_rows) - 1]
    [text] = [text for text, row in zip(read, range(len(read)), strict=True) if row == 0]
    assert text == f'searched "{last[1:]}"'


def test_texts_meet_their_targets_in_batches():
    world = Histories(
        offsets=np.array([0, 3, 5]),
        items=np.array([1, 2, 3, 4, 5]),
        kinds=np.array([3, 0, 3, 3, 3], np.int8),
        times=np.arange(5),
    )
    vectors = torch.arange(3.0)[:, None]
    dataset = CombinedDataset(SequenceDataset(world, ["purchase"], 5), vectors, np.array([2, 3, 4]))
    examples = dataset.collate([1, 0])["examples"]
    assert examples.target_rows.tolist() == [4, 5, 1, 3]
    assert examples.read.tolist() == [0, 1, 3]
    assert examples.vectors.tolist() == [[1], [2], [0]]
    assert examples.to("cpu").read.tolist() == [0, 1, 3]


def test_without_a_text_the_state_speaks_alone():
    tower = user_tower(SETTINGS.model_copy(update={"user_tower": "both", "dropout": 0.0}), 3)
    assert isinstance(tower, CombinedTower)
    items = ItemTower(None, torch.ones(6, dtype=torch.bool), 32, ids=True, dropout=0.0, id_dropout=0.0)
    world = Histories(
        offsets=np.array([0, 3]), items=np.array([1, 2, 3]), kinds=np.full(3, 3, np.int8), times=np.arange(3)
    )
    sequences = SequenceDataset(world, ["purchase"], 5)
    examples = CombinedDataset(sequences, torch.randn(1, 3), np.array([2])).collate([0])["examples"]
    both, state = tower.training_vectors(examples, items), tower.sequence.training_vectors(examples, items)
    torch.testing.assert_close(both[:2], state[:2])
    assert not torch.allclose(both[2], state[2])


def test_users_of_another_shop_are_read_alike(shop, tmp_path, monkeypatch):
    monkeypatch.setattr(Encoder, "encode", words)
    settings = SETTINGS.model_copy(update={"user_tower": "both"})
    users = users_of(shop, SEARCHES, settings, None, tmp_path)
    named = tuple(shop.user_ids.values[[7, 3]])
    given = shop.past("test").filter(pl.col("user_id").is_in(named)).collect()
    visitors = users.of(Visitors(shop.folder, given, shop, None, named))
    theirs = visitors.inputs(np.array([0, 1]), *BEFORE["test"])
    mine = users.inputs(np.array([7, 3]), *BEFORE["test"])
    assert torch.equal(theirs.text.vectors, mine.text.vectors)
    assert torch.equal(theirs.sequence.items, mine.sequence.items)
    assert visitors.text.encoder is users.text.encoder
