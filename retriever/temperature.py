"""What similarities are divided by before a softmax."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

LEAST = 0.01
"""A learned temperature gets no lower (Radford et al. 2021, section 2.5), so that training stays stable."""


class Temperature(nn.Module):
    """A fixed temperature, or one that is learned with the towers as a logarithm.

    Args:
        value: the temperature, or where learning begins.
        learned: whether it is learned.
    """

    fixed: Tensor

    def __init__(self, value: float, *, learned: bool) -> None:
        super().__init__()
        self.log = nn.Parameter(torch.tensor(math.log(value))) if learned else None
        self.register_buffer("fixed", None if learned else torch.tensor(value))

    def forward(self) -> Float[Tensor, ""]:
        """The temperature now."""
        return self.fixed if self.log is None else self.log.exp().clamp(min=LEAST)
