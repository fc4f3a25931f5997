"""Losses against a teacher, written out."""

import math
from itertools import permutations

import pytest
import torch

from aisle.retriever.distillation import kl, margin_mse

STUDENT = torch.tensor([[2.0, 1.0, 0.0], [0.5, 3.0, 9.0]])
TEACHER = torch.tensor([[1.0, 1.5, -1.0], [2.0, 0.0, -9.0]])
PRESENT = torch.tensor([[True, True, True], [True, True, False]])


def softmax(scores):
    powers = [math.exp(score) for score in scores]
    return [power / sum(powers) for power in powers]


def test_kl_is_the_definition():
    expected = 0.0
    for mine, theirs in (([2, 1, 0], [1, 1.5, -1]), ([0.5, 3], [2, 0])):
        pairs = zip(softmax(theirs), softmax(mine), strict=True)
        expected += sum(p * math.log(p / q) for p, q in pairs)
    assert kl(STUDENT, TEACHER, PRESENT).item() == pytest.approx(expected / 2, abs=1e-6)


def test_margin_mse_is_the_mean_over_pairs():
    expected = 0.0
    for mine, theirs in (([2, 1, 0], [1, 1.5, -1]), ([0.5, 3], [2, 0])):
        pairs = list(permutations(range(len(mine)), 2))
        expected += sum(((mine[a] - mine[b]) - (theirs[a] - theirs[b])) ** 2 for a, b in pairs) / len(pairs)
    assert margin_mse(STUDENT, TEACHER, PRESENT).item() == pytest.approx(expected / 2, rel=1e-6)


@pytest.mark.parametrize("loss", [kl, margin_mse])
def test_a_student_that_agrees_up_to_a_constant_has_nothing_to_learn(loss):
    student = (TEACHER + 5).requires_grad_()
    value = loss(student, TEACHER, PRESENT)
    (gradient,) = torch.autograd.grad(value, student)
    assert value.item() == pytest.approx(0, abs=1e-6)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), atol=1e-6, rtol=0)


@pytest.mark.parametrize("loss", [kl, margin_mse])
def test_padding_has_no_say(loss):
    student = STUDENT.clone().requires_grad_()
    other = torch.where(PRESENT, TEACHER, 100.0)
    (gradient,) = torch.autograd.grad(loss(student, other, PRESENT), student)
    assert loss(student, other, PRESENT).item() == loss(student, TEACHER, PRESENT).item()
    assert gradient[1, 2] == 0
    assert gradient[0].abs().min() > 0
