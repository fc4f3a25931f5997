"""ndcg@10 for early stopping against a plain sort, and against aisle.eval's."""

from math import log2

import numpy as np
import pytest
import torch

from aisle.retriever.validation import Relevant, grouped, mean_ndcg, ndcg


def test_places_are_counted_without_seen_items():
    scores = np.array([[5, 4, 3, 2, 1]], np.float32)
    found = ndcg(scores, [np.array([3])], [np.array([0, 1])])
    assert found.tolist() == [pytest.approx(1 / log2(2 + 1))]


def test_ties_count_against_us():
    scores = np.ones((1, 12), np.float32)
    assert ndcg(scores.copy(), [np.array([0])], [np.empty(0, int)]).tolist() == [0]
    assert ndcg(scores[:, :10].copy(), [np.array([0])], [np.empty(0, int)]).tolist() == [
        pytest.approx(1 / log2(11))
    ]


def test_relevant_items_do_not_push_each_other_down():
    scores = np.array([[3, 2, 1]], np.float32)
    assert ndcg(scores, [np.array([0, 1])], [np.empty(0, int)]).tolist() == [pytest.approx(1)]


def test_a_seen_relevant_item_is_never_found():
    scores = np.array([[3, 2, 1]], np.float32)
    assert ndcg(scores, [np.array([0])], [np.array([0])]).tolist() == [0]


def test_blocks_and_plain_sorting_agree():
    rng = np.random.default_rng(0)
    users, items = rng.normal(size=(30, 4)).astype(np.float32), rng.normal(size=(40, 4)).astype(np.float32)
    relevant = [rng.choice(40, rng.integers(1, 14), replace=False) for _ in users]
    seen = [rng.choice(40, 5, replace=False) for _ in users]
    expected = []
    for user, wanted, masked in zip(users, relevant, seen, strict=True):
        scores = items @ user
        order = [row for row in np.argsort(-scores) if row not in masked][:10]
        gain = sum(1 / log2(place + 2) for place, row in enumerate(order) if row in wanted)
        expected.append(gain / sum(1 / log2(place + 2) for place in range(min(10, len(wanted)))))
    world = Relevant(np.arange(30), relevant, seen)
    measured = mean_ndcg(torch.from_numpy(users), torch.from_numpy(items), world, most_scores=7 * 40)
    assert measured == pytest.approx(np.mean(expected))


def test_grouping():
    users, items = grouped(np.array([3, 1, 3]), np.array([7, 8, 9]))
    assert users.tolist() == [1, 3]
    assert [part.tolist() for part in items] == [[8], [7, 9]]
