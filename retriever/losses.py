"""Contrastive losses as pure functions.

Scores are similarities divided by a temperature (many papers multiply by a scale = 1 / temperature).
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

MASKED = -1e9
"""Score of a negative that does not count; finite, so that a row of nothing else still has a gradient."""


MOST_SCORES = 1 << 24
"""Scores of a full softmax that are in memory at once (64 MiB in float32)."""


def full_softmax(
    queries: Float[Tensor, "n dim"],
    items: Float[Tensor, "m dim"],
    targets: Int[Tensor, " n"],
    temperature: Tensor,
    most_scores: int = MOST_SCORES,
) -> Float[Tensor, ""]:
    """Mean cross-entropy of each query's target among all items.

    Where there are more than `most_scores` scores, chunks of queries take turns, and their scores are
    computed again for the gradient instead of being kept (Chen et al. 2016, "Training Deep Nets with
    Sublinear Memory Cost").

    Args:
        queries: user vectors.
        items: vectors of all items that compete.
        targets: position of each query's relevant item in `items`.
        temperature: scalar > 0.
        most_scores: scores in memory at once.
    """

    def summed(some: Tensor, their_targets: Tensor) -> Tensor:
        return functional.cross_entropy(some @ items.T / temperature, their_targets, reduction="sum")

    size = max(1, most_scores // len(items))
    if len(queries) <= size:
        return summed(queries, targets) / len(queries)
    chunks = zip(torch.split(queries, size), torch.split(targets, size), strict=True)
    sums = [checkpoint(summed, *chunk, use_reentrant=False) for chunk in chunks]
    return torch.stack(sums).sum() / len(queries)


def sampled_softmax(
    queries: Float[Tensor, "n dim"],
    positives: Float[Tensor, "n dim"],
    negatives: Float[Tensor, "k dim"],
    target_ids: Int[Tensor, " n"],
    negative_ids: Int[Tensor, " k"],
    temperature: Tensor,
    log_q: Float[Tensor, " k"] | None = None,
) -> Float[Tensor, ""]:
    """Mean cross-entropy of each query's target among itself and `k` shared negatives.

    Source: Jean et al. 2015, "On Using Very Large Target Vocabulary", section 3.1. A negative that is the
    query's own target is masked. With `log_q`, each negative's score loses log(k q), the expected number of
    times that it was drawn, so that the denominator is on average that of the full softmax.

    Args:
        queries: user vectors.
        positives: vector of each query's relevant item.
        negatives: vectors of the sampled items, shared by all queries.
        target_ids: item row of each positive.
        negative_ids: item row of each negative.
        temperature: scalar > 0.
        log_q: log probability with which each negative was drawn; None leaves the scores uncorrected.
    """
    positive = (queries * positives).sum(-1, keepdim=True) / temperature
    negative = queries @ negatives.T / temperature
    if log_q is not None:
        negative = negative - (log_q + torch.log(torch.tensor(float(len(log_q)))))
    collision: Bool[Tensor, "n k"] = target_ids[:, None] == negative_ids[None, :]
    scores = torch.cat([positive, negative.masked_fill(collision, MASKED)], dim=1)
    return functional.cross_entropy(scores, torch.zeros_like(target_ids))


def in_batch(
    queries: Float[Tensor, "n dim"],
    positives: Float[Tensor, "n dim"],
    target_ids: Int[Tensor, " n"],
    temperature: Tensor,
    log_q: Float[Tensor, " n"] | None = None,
) -> Float[Tensor, ""]:
    """InfoNCE: each query's target against the targets of the other queries.

    Source: Yi et al. 2019, "Sampling-Bias-Corrected Neural Modeling", equations 3 to 5. Scores lose `log_q`
    of their column's item, the diagonal included; other columns that hold the query's own target are masked.

    Args:
        queries: user vectors.
        positives: vector of each query's relevant item.
        target_ids: item row of each positive.
        temperature: scalar > 0.
        log_q: log share of each positive's item among all training targets; None: no correction.
    """
    scores = queries @ positives.T / temperature
    if log_q is not None:
        scores = scores - log_q[None, :]
    same = target_ids[:, None] == target_ids[None, :]
    diagonal = torch.eye(len(target_ids), dtype=torch.bool, device=scores.device)
    scores = scores.masked_fill(same & ~diagonal, MASKED)
    return functional.cross_entropy(scores, torch.arange(len(target_ids), device=scores.device))
