"""Contrastive batches larger than memory: a language model encodes them chunk by chunk."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.checkpoint import checkpoint

Chunk = TypeVar("Chunk")


def encode_in_chunks(
    encode: Callable[[Chunk], Float[Tensor, "_ dim"]], chunks: Sequence[Chunk]
) -> Float[Tensor, "n dim"]:
    """Vectors of all chunks, for one loss over all of them, with the activations of one chunk in memory.

    Source: Gao et al. 2021, "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup"
    (GradCache). Chunks are encoded without a graph; a loss on the vectors gives the gradient of each vector;
    backward then encodes chunk after chunk again, with the random state of the first time (dropout), and
    carries its vectors' gradients on to the parameters. Loss and gradients are those of encoding all chunks
    at once; the price is a second forward pass.

    Args:
        encode: the encoder; called twice for each chunk.
        chunks: its inputs, in the order of the vectors; at least one.
    """
    return torch.cat([checkpoint(encode, chunk, use_reentrant=False) for chunk in chunks])
