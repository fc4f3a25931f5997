"""Long histories and large catalogues: the bounded ways give what the plain ones give."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from worlds import best_item_rate, signal_shop

from aisle.data.history import Histories
from aisle.data.settings import TextSettings
from aisle.retriever import towers as towers_module
from aisle.retriever.batches import PaddedHistories, SequenceExamples, pad
from aisle.retriever.encoder import Encoder
from aisle.retriever.model import build
from aisle.retriever.settings import RetrieverSettings
from aisle.retriever.texts import kept_vectors
from aisle.retriever.towers import hashed
from aisle.retriever.train import train
from aisle.retriever.users import AT_ONCE, SequenceUsers

SETTINGS = RetrieverSettings(dim=8, heads=2, max_history=6, dropout=0.0, id_dropout=0.0)


def fresh(items=20, **changes):
    torch.manual_seed(0)
    settings = SETTINGS.model_copy(update=changes)
    return build(settings, "hybrid", torch.randn(items, 5), torch.ones(items, dtype=torch.bool), 5)


def examples(users=7, events=6, items=20):
    rows = torch.randint(items, (users, events + 1), generator=torch.Generator().manual_seed(1))
    past = PaddedHistories(rows[:, :-1], torch.full((users, events), 3), torch.full((users,), events))
    return SequenceExamples(past, rows, torch.ones_like(rows, dtype=torch.bool))


@pytest.mark.parametrize("most", [1, 7 * 4 * 8 * 3])  # one user at a time, three users at a time
def test_users_in_turns_have_the_states_and_gradients_of_all_at_once(most):
    found = []
    for limit in (towers_module.MOST_ACTIVATIONS, most):
        towers = fresh().train()
        towers.users.most_activations = limit
        vectors = towers.users.training_vectors(examples(), towers.items)
        vectors.cos().sum().backward()
        gradients = {name: weights.grad for name, weights in towers.named_parameters()}
        towers.eval()
        with torch.inference_mode():
            served = towers.user_vectors(examples().histories)
        found.append((vectors, gradients, served))
    torch.testing.assert_close(*found)


def test_dropout_is_the_same_when_a_turn_is_computed_again(monkeypatch):
    gradients = []
    for again in (True, False):
        if not again:
            monkeypatch.setattr(towers_module, "checkpoint", lambda compute, part, **_: compute(part))
        towers = fresh(dropout=0.5).train()
        towers.users.most_activations = 1
        towers.users.training_vectors(examples(), towers.items).cos().sum().backward()
        gradients.append({name: weights.grad for name, weights in towers.named_parameters()})
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize(("longest", "at_once"), [(50, AT_ONCE), (1_000, 65)])
def test_users_of_long_histories_are_served_fewer_at_a_time(tmp_path, longest, at_once):
    shop = signal_shop(tmp_path, "ratings", users=5)
    assert SequenceUsers(shop, RetrieverSettings(max_history=longest)).at_once == at_once


def test_a_history_of_a_thousand_events_has_a_vector():
    towers = fresh(max_history=1_000).eval()
    world = Histories(
        offsets=np.array([0, 1_200]),
        items=np.arange(1_200) % 20,
        kinds=np.full(1_200, 3, np.int8),
        times=np.arange(1_200),
    )
    vector = towers.user_vectors(pad(world, np.array([0]), 1_000))
    assert vector.shape == (1, 8)
    assert vector.isfinite().all()


@pytest.mark.parametrize("block", [1, 7, 20])
def test_the_catalogue_by_blocks_is_the_catalogue(monkeypatch, block):
    towers = fresh().eval()
    whole = towers.item_vectors()
    monkeypatch.setattr(towers_module, "BLOCK", block)
    with torch.inference_mode():
        torch.testing.assert_close(towers.item_vectors(), whole)


def test_hashed_rows_stay_apart_and_within_the_buckets():
    rows = torch.arange(1_000_000)
    first, second = hashed(rows, 65_536)
    assert 0 <= min(first.min(), second.min()) <= max(first.max(), second.max()) < 65_536
    assert len(torch.unique(first * 65_536 + second)) > 0.999 * len(rows)
    counts = torch.bincount(first, minlength=65_536)  # 15.3 on average
    assert 10 <= counts.min() <= counts.max() <= 21


def test_hashed_ids_take_as_many_vectors_as_there_are_buckets():
    towers = fresh(id_buckets=4)
    assert towers.items.free.weight.shape == (4, 8)
    first, second = (int(bucket) for bucket in hashed(torch.tensor([13]), 4))
    towers.items.projection = None
    expected = towers.items.free.weight[first] + towers.items.free.weight[second]
    torch.testing.assert_close(towers.items(torch.tensor([13]))[0], expected)


def test_items_that_share_free_vectors_are_told_apart(tmp_path):
    shop = signal_shop(tmp_path / "prepare", "ratings")
    settings = RetrieverSettings(
        towers=("ids",),
        id_buckets=12,  # for 16 items
        dim=32,
        batch_size=32,
        learning_rate=1e-2,
        warmup_steps=5,
        max_rounds=15,
        precision="fp32",
        dropout=0.1,
    )
    train(shop, TextSettings(), settings, tmp_path, seed=0)
    assert best_item_rate(shop, tmp_path / "model") > 0.8


class Lengths(Encoder):
    """Stands for a language model: a text's vector is its length and its number of words."""

    dim = 2
    fingerprint = "lengths"
    settings = RetrieverSettings().encoder

    def __init__(self):
        self.calls = []

    def encode(self, texts, what, longest=None):
        self.calls.append(len(texts))
        return np.array([[len(text), len(text.split())] for text in texts], np.float32)


def test_vectors_are_written_by_blocks_and_kept(tmp_path):
    encoder = Lengths()
    texts = ["a", "b c", "", "defg", "h i j"]
    found = kept_vectors(tmp_path, encoder, texts, "encoding", at_once=2)
    assert found.tolist() == [[1, 1], [3, 2], [0, 0], [4, 1], [5, 3]]
    assert encoder.calls == [2, 2, 1]
    again = kept_vectors(tmp_path, encoder, texts, "encoding", at_once=2)
    assert encoder.calls == [2, 2, 1]
    [path] = tmp_path.iterdir()
    assert torch.equal(load_file(path)["vectors"], again)
