"""Hard negatives against a plain sort; the user's own items and what may be relevant stay out."""

import numpy as np
import pytest
import torch

from aisle.index.settings import IndexSettings
from aisle.retriever.batches import PaddedHistories, SequenceExamples
from aisle.retriever.hard import HardNegatives

CPU = IndexSettings(device="cpu")


@pytest.mark.parametrize(("pool", "margin"), [(40, 0.2), (40, -10.0), (6, 0.0)])
def test_they_are_the_best_that_score_less_by_the_margin(pool, margin):
    rng = np.random.default_rng(0)
    known = np.sort(rng.choice(50, 40, replace=False))
    items = torch.from_numpy(rng.normal(size=(50, 3)).astype(np.float32))
    users = torch.from_numpy(rng.normal(size=(30, 3)).astype(np.float32))
    targets = rng.choice(known, 30)
    seen = [rng.choice(50, 5, replace=False) for _ in range(30)]
    miner = HardNegatives(known, number=4, pool=pool, margin=margin, settings=CPU)
    miner.refresh(items[known])
    found = miner.mine(users, torch.from_numpy(targets), seen).tolist()
    scores = (users @ items.T).numpy()
    for user, target in enumerate(targets):
        order = [row for row in np.argsort(-scores[user]) if row in known]
        order = [row for row in order if row != target and row not in seen[user]][:pool]
        fitting = [row for row in order if scores[user, row] <= scores[user, target] - margin][:4]
        assert found[user] == fitting + [-1] * (4 - len(fitting))


def test_an_index_has_to_be_there():
    miner = HardNegatives(np.arange(3), number=1, pool=2, margin=0.0, settings=CPU)
    with pytest.raises(RuntimeError, match="index the items"):
        miner.mine(torch.zeros(1, 2), torch.tensor([0]), [np.array([0])])


def test_a_user_has_seen_all_its_items_before_and_after():
    past = PaddedHistories(
        torch.tensor([[4, 7], [5, 0], [0, 0]]), torch.zeros(3, 2).long(), torch.tensor([2, 1, 0])
    )
    targets = torch.tensor([[4, 7, 9], [5, 6, 0], [3, 0, 0]])
    wanted = torch.tensor([[False, True, True], [True, True, False], [True, False, False]])
    examples = SequenceExamples(past, targets, wanted)
    assert [rows.tolist() for rows in examples.seen] == [[4, 7, 9], [4, 7, 9], [5, 6], [5, 6], [3]]
