"""Which items a training step compares its users with, and the loss that follows."""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from aisle.retriever.losses import full_softmax, in_batch, matryoshka, sampled_softmax
from aisle.retriever.negatives import CountedFrequency, DrawnNegatives, StreamingFrequency
from aisle.retriever.settings import ObjectiveSettings

Loss = Literal["full_softmax", "sampled_softmax", "in_batch"]


@dataclass(frozen=True)
class Compared:
    """The items that a step compares its users with.

    Attributes:
        rows: item rows whose vectors the step needs; the targets' own first, unless all items are.
        hard: for each target, places in `rows` of its hard negatives, -1 where there is none; or None.
    """

    rows: Int[Tensor, " m"]
    hard: Int[Tensor, "n h"] | None = None


class Objective(nn.Module):
    """The contrastive task over the items known in training.

    Items without events in training never compete: as eternal negatives they would learn to be disliked.

    Args:
        known: which items of the catalogue have events in training.
        counts: how often each item of the catalogue is a target in training, for the logQ correction.
        settings: loss, negatives, prefixes.
        cosine: whether similarity is a cosine.
    """

    known: Tensor
    place: Tensor

    def __init__(
        self,
        known: Bool[Tensor, " items"],
        counts: Int[Tensor, " items"],
        settings: ObjectiveSettings,
        *,
        cosine: bool,
    ) -> None:
        super().__init__()
        rows = torch.nonzero(known).squeeze(1)
        self.loss: Loss = chosen_loss(settings, len(rows))
        self.prefixes = settings.matryoshka
        self.cosine = cosine
        self.among_batch = self.loss == "in_batch" or settings.batch_negatives
        place = torch.full((len(counts),), -1)
        place[rows] = torch.arange(len(rows))
        self.register_buffer("known", rows, persistent=False)
        self.register_buffer("place", place, persistent=False)
        self.drawn = DrawnNegatives(known, counts, settings.negatives, settings.popular_share)
        self.frequency = (
            StreamingFrequency(len(counts), settings.frequency_rate)
            if settings.frequency == "streaming"
            else CountedFrequency(counts)
        )

    def compare(self, targets: Int[Tensor, " n"], mined: Int[Tensor, "n h"] | None = None) -> Compared:
        """The items to compare users with whose relevant items are `targets`.

        Args:
            targets: item rows.
            mined: item rows of each target's hard negatives, -1 where there is none; sampled softmax only.
        """
        if self.training and self.among_batch:
            self.frequency.observe(targets)
        match self.loss:
            case "full_softmax":
                return Compared(self.known)
            case "in_batch":
                return Compared(targets)
            case "sampled_softmax":
                shared = torch.cat([targets, self.drawn.draw()])
                if mined is None:
                    return Compared(shared)
                own, inverse = torch.unique(mined.clamp(min=0), return_inverse=True)
                return Compared(torch.cat([shared, own]), (inverse + len(shared)).masked_fill(mined < 0, -1))

    def forward(
        self,
        users: Float[Tensor, "n dim"],
        items: Float[Tensor, "m dim"],
        targets: Int[Tensor, " n"],
        compared: Compared,
        temperature: Float[Tensor, ""],
    ) -> Float[Tensor, ""]:
        """The loss of user vectors whose relevant items are `targets`; `items` are those of `compared`."""

        def loss(users: Tensor, items: Tensor) -> Float[Tensor, ""]:
            return self._of_one_length(users, items, targets, compared, temperature)

        if not self.prefixes:
            return loss(users, items)
        return matryoshka(loss, users, items, self.prefixes, cosine=self.cosine)

    def _of_one_length(
        self, users: Tensor, items: Tensor, targets: Tensor, compared: Compared, temperature: Tensor
    ) -> Float[Tensor, ""]:
        n = len(targets)
        match self.loss:
            case "full_softmax":
                return full_softmax(users, items, self.place[targets], temperature)
            case "in_batch":
                return in_batch(users, items, targets, temperature, _log(self.frequency.expected(targets, n)))
            case "sampled_softmax":
                start = 0 if self.among_batch else n
                shared = slice(start, n + self.drawn.number)
                rows = compared.rows[shared]
                expected = self.drawn.expected(rows)
                if self.among_batch:
                    expected = expected + self.frequency.expected(rows, n)
                hard = present = None
                if compared.hard is not None:
                    present = compared.hard >= 0
                    hard = items[compared.hard.clamp(min=0)]
                return sampled_softmax(
                    users, items[:n], items[shared], targets, rows, temperature, _log(expected), hard, present
                )


def chosen_loss(settings: ObjectiveSettings, items: int) -> Loss:
    """The loss that the settings name, with `auto` resolved by the number of items in training."""
    if settings.kind in get_args(Loss):
        return settings.kind  # type: ignore[return-value]
    return "full_softmax" if items <= settings.full_softmax_limit else "sampled_softmax"


def _log(expected: Float[Tensor, " m"]) -> Float[Tensor, " m"]:
    """Logarithm, finite for what was never expected."""
    return torch.log(expected.clamp(min=torch.finfo(expected.dtype).tiny))
