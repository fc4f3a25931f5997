"""Losses of scores in lists, as pure functions."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional


def bce(scores: Tensor, labels: Tensor, _owner: Tensor, positive_weight: float) -> Tensor:
    """Binary cross-entropy of each pair, relevant ones weighted, divided by the weights' sum.

    Args:
        scores: logits of relevance (pairs).
        labels: 0 or 1 (pairs).
        positive_weight: of a relevant pair; others weigh 1.
    """
    weights = torch.where(labels > 0, positive_weight, 1.0)
    losses = functional.binary_cross_entropy_with_logits(scores, labels, reduction="none")
    return (losses * weights).sum() / weights.sum()


def listwise(scores: Tensor, labels: Tensor, owner: Tensor, _positive_weight: float) -> Tensor:
    """`-log softmax(scores of the list)` at each relevant pair, averaged over the lists that have any.

    Source: Cao et al. 2007, "Learning to Rank: From Pairwise Approach to Listwise Approach" (ListNet with
    top-one probabilities); several relevant pairs of a list share its weight.

    Args:
        scores: any numbers (pairs).
        labels: 0 or 1 (pairs).
        owner: place of each pair's list (pairs), from 0.
    """
    lists = int(owner.max()) + 1
    highest = scores.new_full((lists,), -torch.inf).scatter_reduce(0, owner, scores.detach(), "amax")
    shifted = scores - highest[owner]
    total = scores.new_zeros(lists).index_add(0, owner, shifted.exp()).log()
    relevant = labels.new_zeros(lists).index_add(0, owner, labels)
    shares = labels / relevant[owner].clamp(min=1)
    return -(shares * (shifted - total[owner])).sum() / (relevant > 0).sum().clamp(min=1)


LOSSES: dict[str, Callable[[Tensor, Tensor, Tensor, float], Tensor]] = {"bce": bce, "listwise": listwise}
