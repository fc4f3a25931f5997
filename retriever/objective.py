"""Which items a training step compares its users with, and the loss that follows."""

import math
from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from aisle.retriever.losses import full_softmax, in_batch, sampled_softmax
from aisle.retriever.settings import ObjectiveSettings

Loss = Literal["full_softmax", "sampled_softmax", "in_batch"]


class Objective(nn.Module):
    """The contrastive task over the items known in training.

    Items without events in training never compete: as eternal negatives they would learn to be disliked.

    Args:
        known: which items of the catalogue have events in training.
        counts: how often each item of the catalogue is a target in training, for the logQ correction.
        settings: loss, number of negatives, temperature.
    """

    known: Tensor
    place: Tensor
    log_share: Tensor
    temperature: Tensor

    def __init__(
        self, known: Bool[Tensor, " items"], counts: Int[Tensor, " items"], settings: ObjectiveSettings
    ) -> None:
        super().__init__()
        rows = torch.nonzero(known).squeeze(1)
        self.loss: Loss = chosen_loss(settings, len(rows))
        self.negatives = settings.negatives
        place = torch.full((len(counts),), -1)
        place[rows] = torch.arange(len(rows))
        self.register_buffer("known", rows)
        self.register_buffer("place", place)
        self.register_buffer("log_share", torch.log(counts.clamp(min=1) / counts.sum().clamp(min=1)))
        self.register_buffer("temperature", torch.tensor(settings.temperature))

    def rows(self, targets: Int[Tensor, " n"]) -> Int[Tensor, " m"]:
        """Item rows whose vectors the step needs; the targets' own first, unless all items are."""
        match self.loss:
            case "full_softmax":
                return self.known
            case "in_batch":
                return targets
            case "sampled_softmax":
                drawn = torch.randint(len(self.known), (self.negatives,), device=targets.device)
                return torch.cat([targets, self.known[drawn]])

    def forward(
        self,
        users: Float[Tensor, "n dim"],
        items: Float[Tensor, "m dim"],
        targets: Int[Tensor, " n"],
        rows: Int[Tensor, " m"],
    ) -> Float[Tensor, ""]:
        """The loss of user vectors whose relevant items are `targets`, among the vectors of `rows`."""
        n = len(targets)
        match self.loss:
            case "full_softmax":
                return full_softmax(users, items, self.place[targets], self.temperature)
            case "in_batch":
                return in_batch(users, items, targets, self.temperature, self.log_share[targets])
            case "sampled_softmax":
                log_q = torch.full((len(rows) - n,), -math.log(len(self.known)), device=users.device)
                return sampled_softmax(
                    users, items[:n], items[n:], targets, rows[n:], self.temperature, log_q
                )


def chosen_loss(settings: ObjectiveSettings, items: int) -> Loss:
    """The loss that the settings name, with `auto` resolved by the number of items in training."""
    if settings.kind in get_args(Loss):
        return settings.kind  # type: ignore[return-value]
    return "full_softmax" if items <= settings.full_softmax_limit else "sampled_softmax"
