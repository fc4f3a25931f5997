"""Towers: causality, padding, new items and new users."""

import numpy as np
import pytest
import torch

from aisle.data.history import Histories
from aisle.retriever.batches import PaddedHistories, SequenceDataset, pad
from aisle.retriever.model import build
from aisle.retriever.settings import RetrieverSettings

SETTINGS = RetrieverSettings(dim=8, heads=2, max_history=6, layers=2)


@pytest.fixture
def towers():
    torch.manual_seed(0)
    known = torch.tensor([True] * 9 + [False])
    return build(SETTINGS, "hybrid", torch.randn(10, 5), known, 5).eval()


def histories(*rows, kinds=None):
    flat = np.concatenate([np.array(row, np.int64) for row in rows])
    return Histories(
        offsets=np.cumsum([0, *map(len, rows)]),
        items=flat,
        kinds=np.full(len(flat), 3, np.int8) if kinds is None else np.array(kinds, np.int8),
        times=np.arange(len(flat)),
    )


def test_padding_changes_no_vector(towers):
    world = histories([1, 2], [3, 4, 5, 6], [])
    together = towers.user_vectors(pad(world, np.arange(3), 6))
    alone = torch.cat([towers.user_vectors(pad(world, np.array([user]), 6)) for user in range(3)])
    torch.testing.assert_close(together, alone)


def test_a_state_depends_on_the_past_alone(towers):
    one = PaddedHistories(torch.tensor([[1, 2, 3, 4]]), torch.full((1, 4), 3), torch.tensor([4]))
    other = PaddedHistories(torch.tensor([[1, 2, 7, 8]]), torch.full((1, 4), 3), torch.tensor([4]))
    states, changed = (towers.users.states(past, towers.items) for past in (one, other))
    torch.testing.assert_close(states[:, :3], changed[:, :3])
    assert not torch.allclose(states[:, 3], changed[:, 3])


def test_only_the_most_recent_events_are_read(towers):
    long, short = histories([9, 9, 1, 2, 3, 4, 5, 6]), histories([1, 2, 3, 4, 5, 6])
    vectors = [towers.user_vectors(pad(world, np.array([0]), 6)) for world in (long, short)]
    torch.testing.assert_close(*vectors)


def test_vectors_have_unit_length_and_users_without_history_have_one(towers):
    users = towers.user_vectors(pad(histories([], [1]), np.array([0, 1]), 6))
    torch.testing.assert_close(users.norm(dim=1), torch.ones(2))
    torch.testing.assert_close(towers.item_vectors().norm(dim=1), torch.ones(10))


def test_an_item_unknown_in_training_is_its_text_alone(towers):
    before = towers.items()
    torch.nn.init.normal_(towers.items.free.weight, std=100)
    after = towers.items()
    torch.testing.assert_close(before[9], after[9])
    assert not torch.allclose(before[:9], after[:9])


def test_free_vectors_are_dropped_in_training_only(towers):
    tower = towers.items
    tower.id_dropout = 0.5
    torch.nn.init.constant_(tower.free.weight, 100)
    tower.projection.eval()
    with_ids = tower().mean(1) > 50
    assert with_ids[:9].all()
    tower.train()
    tower.projection.eval()
    shares = torch.stack([(tower().mean(1) > 50)[:9] for _ in range(300)]).float().mean()
    assert 0.4 < shares < 0.6


def test_training_examples_are_the_next_events_of_target_kinds():
    world = histories([1, 2, 3], [4], kinds=[3, 0, 3, 0])
    dataset = SequenceDataset(world, ["purchase"], longest=6)
    assert list(dataset) == [0]  # the second user bought nothing
    examples = dataset.collate([0])["examples"]
    assert examples.histories.items.tolist() == [[1, 2]]
    assert examples.targets.tolist() == [[1, 2, 3]]
    assert examples.wanted.tolist() == [[True, False, True]]
    assert examples.target_rows.tolist() == [1, 3]


def test_long_histories_train_on_their_end():
    dataset = SequenceDataset(histories(list(range(10))), ["purchase"], longest=3)
    examples = dataset.collate([0])["examples"]
    assert examples.histories.items.tolist() == [[6, 7, 8]]
    assert examples.targets.tolist() == [[6, 7, 8, 9]]


def test_a_target_further_back_than_the_towers_see_is_no_example():
    world = histories([1, *range(2, 9)], kinds=[3, *[0] * 7])
    assert len(SequenceDataset(world, ["purchase"], longest=6)) == 0
    assert len(SequenceDataset(world, ["purchase"], longest=7)) == 1


def test_targets_are_counted_as_they_are_trained_on():
    world = histories([1, 1, 2, 3], [3, 3], kinds=[3, 3, 0, 3, 3, 3])
    dataset = SequenceDataset(world, ["purchase"], longest=2)
    trained = torch.cat([dataset.collate([user])["examples"].target_rows for user in dataset])
    counts = dataset.target_counts(5)
    assert counts.tolist() == torch.bincount(trained, minlength=5).tolist() == [0, 1, 0, 3, 0]


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"heads": 3}, "must divide dim"), ({"towers": ()}, "at least 1 item")],
)
def test_settings_that_contradict_each_other_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        RetrieverSettings(**changes)
