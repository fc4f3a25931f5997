"""Token states to one vector: mean, first token, last token, maximum.

Padding is on the right: token 0 is a text's first one, whatever the batch. In a causal model no token sees
what stands behind it, so that the padding changes nothing there either.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from aisle.retriever.settings import Pooling


def pool(
    states: Float[Tensor, "batch tokens dim"], mask: Int[Tensor, "batch tokens"], how: Pooling
) -> Float[Tensor, "batch dim"]:
    """One vector a text, of the states where the mask is 1; zeros for a text without any.

    Args:
        states: of the tokens, padded on the right.
        mask: 1 for a token of the text, 0 for padding.
        how: `mean` and `cls` as in Sentence-BERT (Reimers & Gurevych 2019, section 3), `max` over tokens for
            each dimension (ibid.), `last_token` as usual with causal models (Neelakantan et al. 2022,
            section 2), whose last token alone has seen the whole text.
    """
    if how == "mean":
        return mean_pool(states, mask)
    if how == "max":
        hidden = states.masked_fill(mask.unsqueeze(-1) == 0, -torch.inf).amax(1)
        return torch.where(mask.any(1, keepdim=True), hidden, 0.0)
    place = torch.zeros_like(mask[:, 0]) if how == "cls" else (mask.sum(1) - 1).clamp(min=0)
    chosen = states[torch.arange(len(states), device=states.device), place]
    return chosen * mask.any(1, keepdim=True)


def mean_pool(
    states: Float[Tensor, "batch tokens dim"], mask: Int[Tensor, "batch tokens"]
) -> Float[Tensor, "batch dim"]:
    """Mean of the token states where the mask is 1 (Sentence-BERT, Reimers & Gurevych 2019, section 3)."""
    weights = mask.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(1) / weights.sum(1).clamp(min=1)
