"""Losses that make the towers score as a teacher does, as pure functions."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from aisle.retriever.losses import MASKED


def kl(
    student: Float[Tensor, "n k"],
    teacher: Float[Tensor, "n k"],
    present: Bool[Tensor, "n k"],
) -> Float[Tensor, ""]:
    """Mean Kullback-Leibler divergence of the student's softmax over each list from the teacher's.

    Source: Hinton et al. 2015, "Distilling the Knowledge in a Neural Network", section 2; over lists of
    items, as Lin et al. 2021, "In-Batch Negatives for Knowledge Distillation with Tightly-Coupled Teachers".

    Args:
        student: scores divided by the temperature.
        teacher: logits; what is added to all scores of a list does not matter, their scale does.
        present: which places of a list hold an item; at least one in each.
    """
    mine = torch.log_softmax(student.masked_fill(~present, MASKED), dim=1)
    theirs = torch.log_softmax(teacher.masked_fill(~present, MASKED), dim=1)
    return (theirs.exp() * (theirs - mine)).masked_fill(~present, 0).sum(1).mean()


def margin_mse(
    student: Float[Tensor, "n k"],
    teacher: Float[Tensor, "n k"],
    present: Bool[Tensor, "n k"],
) -> Float[Tensor, ""]:
    """Mean squared difference between the student's and the teacher's margins, over all pairs of each list.

    Source: Hofstätter et al. 2020, "Improving Efficient Neural Ranking Models with Cross-Architecture
    Knowledge Distillation", with every pair of a list in the place of (relevant, other). The
    margins (s_i - s_j) - (t_i - t_j) are differences of d = s - t, so that their mean square over ordered
    pairs i != j is 2 k / (k - 1) times the variance of d.

    Args:
        student: scores divided by the temperature.
        teacher: scores of the student's scale; what is added to all scores of a list does not matter.
        present: which places of a list hold an item; lists of one item have no pair and count 0.
    """
    size = present.sum(1)
    difference = (student - teacher).masked_fill(~present, 0)
    mean = difference.sum(1, keepdim=True) / size.clamp(min=1)[:, None]
    squares = (difference - mean).masked_fill(~present, 0).square().sum(1)
    return (2 * squares / (size - 1).clamp(min=1)).mean()
