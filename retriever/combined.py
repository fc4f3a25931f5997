"""Sequence and text of a history in one user tower: its inputs, its examples and the tower."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor, nn

from aisle.retriever.batches import (
    Batch,
    PaddedHistories,
    SequenceDataset,
    SequenceExamples,
    TextPast,
    gathered,
    recent,
)
from aisle.retriever.settings import RetrieverSettings
from aisle.retriever.towers import ItemTower, SequenceTower, TextTower, UserTower


@dataclass(frozen=True)
class CombinedPast(Batch):
    """Histories as arrays, and the same users' histories as text."""

    sequence: PaddedHistories
    text: TextPast


@dataclass(frozen=True)
class CombinedExamples(SequenceExamples):
    """Next-event prediction, where some targets also have their history as text.

    Attributes:
        vectors: of the language model, of the histories before these targets.
        read: places of these targets in `target_rows`.
    """

    vectors: Float[Tensor, "texts text_dim"]
    read: Int[Tensor, " texts"]


class CombinedDataset(SequenceDataset):
    """Users with something to predict; the history before each of their last targets is there as text, too.

    Args:
        sequences: the examples without text.
        vectors: of the texts.
        before: place in the event arrays of the target of each text.
    """

    def __init__(
        self,
        sequences: SequenceDataset,
        vectors: Float[Tensor, "n text_dim"],
        before: Int[NDArray[np.int64], " n"],
    ) -> None:
        super().__init__(sequences.histories, sequences.target_kinds, sequences.longest, sequences.told)
        self.vectors = vectors
        self.text_rows = np.full(len(self.histories.items), -1)
        self.text_rows[before] = np.arange(len(before))

    def collate(self, users: list[int]) -> dict[str, SequenceExamples]:
        """A batch of the given users."""
        plain = super().collate(users)["examples"]
        places = recent(self.histories, np.array(users, np.int64), self.longest + 1)
        rows = torch.from_numpy(gathered(self.text_rows, places, padding=-1))[plain.wanted]
        read = torch.nonzero(rows >= 0).squeeze(1)
        examples = CombinedExamples(
            plain.histories, plain.targets, plain.wanted, self.vectors[rows[read]], read
        )
        return {"examples": examples}


class CombinedTower(UserTower[CombinedPast, CombinedExamples]):
    """The state of the sequence plus what the language model reads in the history.

    In training only some targets come with their history as text (a language model costs more than a small
    transformer); the others are predicted from the state alone.
    """

    def __init__(self, sequence: SequenceTower, text: TextTower, dim: int) -> None:
        super().__init__()
        self.sequence = sequence
        self.text = text
        self.text_dim = text.text_dim
        self.text_norm = nn.LayerNorm(dim)

    def forward(self, past: CombinedPast, items: ItemTower) -> Float[Tensor, "users dim"]:
        """State after the last event, and what was read."""
        read = self.text_norm(self.text(past.text, items))
        return self.sequence(past.sequence, items) + read  # type: ignore[no-any-return]

    def training_vectors(self, examples: CombinedExamples, items: ItemTower) -> Float[Tensor, "n dim"]:
        """State before each event that is to be predicted, and what was read where there is a text."""
        states = self.sequence.training_vectors(examples, items)
        read = self.text_norm(self.text.projection(examples.vectors))
        return states.index_add(0, examples.read, read.to(states.dtype))


def user_tower(settings: RetrieverSettings, text_dim: int) -> UserTower[Any, Any]:
    """A fresh user tower of the kind that the settings name."""
    if settings.user_tower == "text":
        return TextTower(text_dim, settings.dim, settings.dropout)
    sequence = SequenceTower(
        settings.dim, settings.layers, settings.heads, settings.dropout, settings.max_history
    )
    if settings.user_tower == "sequence":
        return sequence
    return CombinedTower(sequence, TextTower(text_dim, settings.dim, settings.dropout), settings.dim)
