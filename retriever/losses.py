"""Contrastive losses as pure functions.

Scores are similarities divided by a temperature (many papers multiply by a scale = 1 / temperature).
"""

from collections.abc import Callable, Sequence

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
        return functional.cross_entropy(some / temperature @ items.T, their_targets, reduction="sum")

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
    log_expected: Float[Tensor, " k"] | None = None,
    hard: Float[Tensor, "n h dim"] | None = None,
    hard_present: Bool[Tensor, "n h"] | None = None,
) -> Float[Tensor, ""]:
    """Mean cross-entropy of each query's target among itself, `k` shared negatives and its own `h` hard ones.

    Source: Jean et al. 2015, "On Using Very Large Target Vocabulary", section 3.1. A negative that is the
    query's own target is masked. With `log_expected`, each negative's score loses the log of how often it was
    expected among the negatives, so that the denominator is on average that of the full softmax. The target
    is there with certainty and loses nothing (Khrylchenko et al. 2025, "Correcting the LogQ Correction").
    Hard negatives are chosen, not drawn: they lose nothing, and weigh more than in the full softmax.

    Args:
        queries: user vectors.
        positives: vector of each query's relevant item.
        negatives: vectors of the sampled items, shared by all queries.
        target_ids: item row of each positive.
        negative_ids: item row of each negative.
        temperature: scalar > 0.
        log_expected: log of the expected number of times that each negative is among the `k`, which is
            log(k q) for `k` draws from q; None leaves the scores uncorrected.
        hard: vectors of each query's own negatives.
        hard_present: which of them count; None: all.
    """
    positive = (queries * positives).sum(-1, keepdim=True) / temperature
    negative = queries @ negatives.T / temperature
    if log_expected is not None:
        negative = negative - log_expected
    collision: Bool[Tensor, "n k"] = target_ids[:, None] == negative_ids[None, :]
    columns = [positive, negative.masked_fill(collision, MASKED)]
    if hard is not None:
        own = torch.einsum("nd,nhd->nh", queries, hard) / temperature
        columns.append(own if hard_present is None else own.masked_fill(~hard_present, MASKED))
    return functional.cross_entropy(torch.cat(columns, dim=1), torch.zeros_like(target_ids))


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


def prefix(vectors: Float[Tensor, "*n dim"], length: int, *, cosine: bool) -> Float[Tensor, "*n length"]:
    """The first `length` numbers of each vector, of norm one again if similarity is a cosine."""
    short = vectors[..., :length]
    return functional.normalize(short, dim=-1) if cosine else short


def matryoshka(
    loss: Callable[[Tensor, Tensor], Float[Tensor, ""]],
    queries: Float[Tensor, "n dim"],
    items: Float[Tensor, "m dim"],
    lengths: Sequence[int],
    *,
    cosine: bool,
) -> Float[Tensor, ""]:
    """Mean of a loss over whole vectors and their prefixes, so that the prefixes serve as shorter vectors.

    Source: Kusupati et al. 2022, "Matryoshka Representation Learning", equation 1, with equal weights.

    Args:
        loss: of queries and items of any one length.
        queries: user vectors.
        items: item vectors.
        lengths: lengths of the prefixes, shorter than `dim`.
        cosine: whether prefixes get norm one again.
    """
    prefixes = [
        loss(prefix(queries, length, cosine=cosine), prefix(items, length, cosine=cosine))
        for length in lengths
    ]
    return torch.stack([loss(queries, items), *prefixes]).mean()
