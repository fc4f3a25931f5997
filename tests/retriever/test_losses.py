"""Losses against the definition, written out; gradients against the full softmax."""

import math

import pytest
import torch

from aisle.retriever.losses import full_softmax, in_batch, matryoshka, prefix, sampled_softmax

TEMPERATURE = torch.tensor(0.5)


@pytest.fixture
def world():
    torch.manual_seed(0)
    users = torch.randn(4, 3, requires_grad=True)
    items = torch.randn(6, 3, requires_grad=True)
    return users, items, torch.tensor([2, 0, 5, 2])


def log_share(users, items, user, target, competitors):
    """log of the target's share of exp(score) among the competitors."""
    scores = (users @ items.T / TEMPERATURE).detach()[user].tolist()
    return scores[target] - math.log(sum(math.exp(scores[row]) for row in competitors))


def test_full_softmax_is_the_definition(world):
    users, items, targets = world
    expected = -sum(log_share(users, items, user, int(row), range(6)) for user, row in enumerate(targets)) / 4
    assert full_softmax(users, items, targets, TEMPERATURE).item() == pytest.approx(expected, abs=1e-6)


def test_sampling_every_item_once_is_the_full_softmax(world):
    users, items, targets = world
    rows = torch.arange(6)
    sampled = sampled_softmax(users, items[targets], items, targets, rows, TEMPERATURE)
    full = full_softmax(users, items, targets, TEMPERATURE)
    assert sampled.item() == pytest.approx(full.item(), abs=1e-6)
    for one, other in zip(
        *(torch.autograd.grad(loss, (users, items)) for loss in (sampled, full)), strict=True
    ):
        torch.testing.assert_close(one, other)


def test_correction_makes_the_sampled_gradient_approach_the_full_one(world):
    users, items, targets = world
    drawn = torch.randint(6, (60_000,))
    expected = torch.full((len(drawn),), math.log(len(drawn) / 6))
    corrected = sampled_softmax(users, items[targets], items[drawn], targets, drawn, TEMPERATURE, expected)
    full = full_softmax(users, items, targets, TEMPERATURE)
    (one,), (other,) = (torch.autograd.grad(loss, users) for loss in (corrected, full))
    torch.testing.assert_close(one, other, atol=0.02, rtol=0.05)
    plain = sampled_softmax(users, items[targets], items[drawn], targets, drawn, TEMPERATURE)
    assert plain.item() > full.item() + 1


def test_in_batch_masks_other_users_equal_targets(world):
    users, items, targets = world
    columns = {2: [2, 0, 5], 0: [2, 0, 5, 2], 5: [2, 0, 5, 2]}  # another user's 2 is no negative of a 2
    shares = [log_share(users, items, user, row, columns[row]) for user, row in enumerate(targets.tolist())]
    expected = -sum(shares) / 4
    loss = in_batch(users, items[targets], targets, TEMPERATURE)
    assert loss.item() == pytest.approx(expected, abs=1e-5)


def test_in_batch_correction_subtracts_log_q_of_the_column(world):
    users, items, targets = world
    log_q = torch.log(torch.tensor([0.5, 0.2, 0.3, 0.5]))
    scores = users @ items[targets].T / TEMPERATURE - log_q
    scores[0, 3] = scores[3, 0] = -torch.inf
    expected = -torch.log_softmax(scores, 1).diagonal().mean()
    loss = in_batch(users, items[targets], targets, TEMPERATURE, log_q)
    assert loss.item() == pytest.approx(expected.item(), abs=1e-6)


def test_a_batch_of_one_target_has_a_finite_gradient(world):
    users, items, _ = world
    targets = torch.zeros(4, dtype=torch.long)
    loss = in_batch(users, items[targets], targets, TEMPERATURE)
    assert loss.item() == pytest.approx(0)
    assert torch.isfinite(torch.autograd.grad(loss, users)[0]).all()


@pytest.mark.parametrize("most_scores", [1, 6, 12, 13])
def test_chunks_of_the_full_softmax_change_neither_loss_nor_gradient(world, most_scores):
    users, items, targets = world
    plain, chunked = (full_softmax(users, items, targets, TEMPERATURE, most) for most in (4 * 6, most_scores))
    torch.testing.assert_close(plain, chunked)
    gradients = [torch.autograd.grad(loss, (users, items)) for loss in (plain, chunked)]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


def test_all_items_as_hard_negatives_are_the_full_softmax(world):
    users, items, targets = world
    rows = torch.arange(6).expand(4, 6)
    present = rows != targets[:, None]
    nothing = torch.empty(0, dtype=torch.long)
    hard = sampled_softmax(
        users,
        items[targets],
        items[nothing],
        targets,
        nothing,
        TEMPERATURE,
        hard=items[rows],
        hard_present=present,
    )
    full = full_softmax(users, items, targets, TEMPERATURE)
    assert hard.item() == pytest.approx(full.item(), abs=1e-6)
    for one, other in zip(*(torch.autograd.grad(loss, (users, items)) for loss in (hard, full)), strict=True):
        torch.testing.assert_close(one, other)


def test_the_temperature_gets_its_gradient(world):
    users, items, targets = world
    temperature = torch.tensor(0.5, requires_grad=True)
    (found,) = torch.autograd.grad(full_softmax(users, items, targets, temperature, 6), temperature)
    step = 1e-3
    above, below = (
        full_softmax(users, items, targets, torch.tensor(0.5 + sign * step)).item() for sign in (1, -1)
    )
    assert found.item() == pytest.approx((above - below) / (2 * step), rel=0.01)


def test_matryoshka_is_the_mean_over_whole_vectors_and_prefixes(world):
    users, items, targets = world

    def loss(users, items):
        return full_softmax(users, items, targets, TEMPERATURE)

    def unit(vectors):
        return vectors / vectors.norm(dim=1, keepdim=True)

    expected = [
        loss(users, items),
        loss(unit(users[:, :2]), unit(items[:, :2])),
        loss(users.sign()[:, :1], items.sign()[:, :1]),
    ]
    found = matryoshka(loss, users, items, (2, 1), cosine=True)
    assert found.item() == pytest.approx(sum(part.item() for part in expected) / 3, abs=1e-6)
    torch.testing.assert_close(prefix(users, 2, cosine=False), users[:, :2])
    plain = matryoshka(loss, users, items, (1,), cosine=False)
    assert plain.item() == pytest.approx((loss(users, items) + loss(users[:, :1], items[:, :1])).item() / 2)
