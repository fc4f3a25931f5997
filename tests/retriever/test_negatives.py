"""Negatives come as often as they are said to; frequencies are those of the stream."""

import math

import numpy as np
import pytest
import torch

from aisle.retriever.losses import full_softmax, sampled_softmax
from aisle.retriever.negatives import CountedFrequency, DrawnNegatives, StreamingFrequency
from aisle.retriever.objective import Objective
from aisle.retriever.settings import ObjectiveSettings

COUNTS = torch.tensor([6, 0, 3, 1, 0])
KNOWN = torch.tensor([True, True, True, True, False])


def test_drawn_negatives_come_as_often_as_expected():
    torch.manual_seed(0)
    drawn = DrawnNegatives(KNOWN, COUNTS, number=10, popular_share=0.4)
    rows = torch.cat([drawn.draw() for _ in range(5_000)])
    found = torch.bincount(rows, minlength=5) / 5_000
    expected = [6 / 4 + 4 * 6 / 10, 6 / 4, 6 / 4 + 4 * 3 / 10, 6 / 4 + 4 * 1 / 10]
    assert drawn.expected(torch.arange(4)).tolist() == pytest.approx(expected)
    assert found[:4].tolist() == pytest.approx(expected, abs=0.06)
    assert found[4] == 0  # not known, never drawn


def test_only_popular_draws_never_give_an_item_that_is_no_target():
    torch.manual_seed(0)
    rows = DrawnNegatives(KNOWN, COUNTS, number=2_000, popular_share=1.0).draw()
    assert set(rows.tolist()) == {0, 2, 3}


def test_counted_frequency_is_the_share_of_the_targets():
    found = CountedFrequency(COUNTS).expected(torch.tensor([0, 3]), 20)
    assert found.tolist() == pytest.approx([20 * 6 / 10, 20 * 1 / 10])


def test_streaming_frequency_follows_the_intervals():
    frequency = StreamingFrequency(3, rate=0.25)
    for targets in ([0], [1], [0], [2], [0], [2, 2]):
        frequency.observe(torch.tensor(targets))
    intervals = [(1 + 2 + 2) / 3, 2.0, (4 + 2 / 2) / 2]  # means, while fewer than 1 / rate were seen
    assert frequency.expected(torch.arange(3), 1).tolist() == pytest.approx([1 / gap for gap in intervals])


def test_streaming_frequency_forgets_at_its_rate():
    frequency = StreamingFrequency(2, rate=0.5)
    for item in (0, 0, 0, 1, 1, 0):
        frequency.observe(torch.tensor([item]))
    assert frequency.interval[0].item() == pytest.approx(0.5 * 1 + 0.5 * 3)


def test_streaming_frequency_nears_the_true_one():
    rng = np.random.default_rng(0)
    share = np.array([0.02, 0.08, 0.3, 0.6])
    frequency = StreamingFrequency(4, rate=0.02)
    for _ in range(4_000):
        frequency.observe(torch.from_numpy(rng.choice(4, size=1, p=share)))
    assert frequency.expected(torch.arange(4), 1).numpy() == pytest.approx(share, rel=0.35)
    never = StreamingFrequency(2, rate=0.5)
    assert never.expected(torch.arange(2), 1).tolist() == [0, 0]


@pytest.fixture
def towers():
    torch.manual_seed(0)
    return torch.randn(3, 4, requires_grad=True), torch.randn(5, 4)


MIXTURES = [
    {"popular_share": 0.0},
    {"popular_share": 0.5},
    {"popular_share": 0.5, "batch_negatives": True},
]


@pytest.mark.parametrize("mixture", MIXTURES, ids=str)
def test_every_mixture_approaches_the_gradient_of_the_full_softmax(towers, mixture):
    """Targets of a large batch are drawn by their counts, as those of shuffled users are."""
    users, items = towers
    batch = torch.multinomial(COUNTS.float(), 30_000, replacement=True)
    settings = ObjectiveSettings(kind="sampled_softmax", negatives=60_000, **mixture)
    objective = Objective(KNOWN, COUNTS, settings, cosine=False)
    targets = torch.cat([torch.tensor([0, 2, 3]), batch])
    many = users[torch.arange(len(targets)) % 3]
    compared = objective.compare(targets)
    some = slice(0, 3)  # the loss of the first three; the others are only there to be negatives
    start = 0 if settings.batch_negatives else len(targets)
    rows = compared.rows[start:]
    expected = objective.drawn.expected(rows)
    if settings.batch_negatives:
        expected = expected + objective.frequency.expected(rows, len(targets))
    sampled = sampled_softmax(
        many[some], items[targets[some]], items[rows], targets[some], rows, torch.tensor(1.0), expected.log()
    )
    full = full_softmax(users, items[:4], targets[some], torch.tensor(1.0))
    (one,), (other,) = (torch.autograd.grad(loss, users) for loss in (sampled, full))
    torch.testing.assert_close(one, other, atol=0.005, rtol=0.03)


def test_the_objective_puts_the_pieces_together(towers):
    users, items = towers
    settings = ObjectiveSettings(
        kind="sampled_softmax", negatives=4, popular_share=0.5, batch_negatives=True, hard_negatives=2
    )
    objective = Objective(KNOWN, COUNTS, settings, cosine=False)
    targets = torch.tensor([0, 2, 0])
    mined = torch.tensor([[3, 1], [1, -1], [-1, -1]])
    compared = objective.compare(targets, mined)
    drawn = compared.rows[3:7].tolist()
    expected = []
    for user, target in enumerate(targets.tolist()):
        score = (users[user] @ items.T / 0.5).tolist()
        total = math.exp(score[target])
        for row in [*targets.tolist(), *drawn]:
            times = 2 / 4 + 2 * COUNTS[row].item() / 10 + 3 * COUNTS[row].item() / 10
            total += math.exp(score[row]) / times if row != target else 0
        total += sum(math.exp(score[row]) for row in mined[user].tolist() if row >= 0)
        expected.append(math.log(total) - score[target])
    loss = objective(users, items[compared.rows], targets, compared, torch.tensor(0.5))
    assert loss.item() == pytest.approx(sum(expected) / 3, rel=1e-5)


def test_in_batch_with_streaming_frequencies_corrects_by_them(towers):
    users, items = towers
    settings = ObjectiveSettings(kind="in_batch", frequency="streaming", frequency_rate=0.5)
    objective = Objective(KNOWN, COUNTS, settings, cosine=False)
    for step in ([0, 2, 3], [0, 2, 0]):
        compared = objective.compare(torch.tensor(step))
    targets = torch.tensor([0, 2, 3])
    objective.eval()
    compared = objective.compare(targets)  # not in training: nothing is observed
    assert objective.frequency.step.item() == 2
    intervals = torch.tensor([(1 + 1 / 2) / 2, 1.0, 1.0])
    scores = users @ items[targets].T - torch.log(1 / intervals)
    expected = -torch.log_softmax(scores, 1).diagonal().mean()
    loss = objective(users, items[compared.rows], targets, compared, torch.tensor(1.0))
    assert loss.item() == pytest.approx(expected.item(), abs=1e-6)


def test_the_full_softmax_compares_with_every_known_item():
    objective = Objective(KNOWN, COUNTS, ObjectiveSettings(), cosine=False)
    compared = objective.compare(torch.tensor([2, 2, 0]))
    assert compared.hard is None
    assert compared.rows.tolist() == [0, 1, 2, 3]
