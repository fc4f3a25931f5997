"""The two towers behind one interface: items and users become vectors of one space."""

from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from aisle.data.schema import KINDS
from aisle.retriever.batches import Batch, PaddedHistories, SequenceExamples, TextExamples, TextPast
from aisle.retriever.inputs import GAP_CODES, RATING_CODES
from aisle.retriever.temperature import Temperature

Past = TypeVar("Past")
Examples = TypeVar("Examples")


class ItemTower(nn.Module):
    """Item vectors: a projection of the text's vector, plus a free vector for items seen in training.

    Args:
        text: frozen text vectors of the catalogue, or None for ids alone.
        known: which items have events in training; the others have no free vector, their text alone speaks.
        dim: length of an item vector.
        ids: whether items have free vectors.
        dropout: inside the projection.
        id_dropout: share of free vectors left out in each training step.
    """

    known: Tensor
    text: Tensor

    def __init__(
        self,
        text: Float[Tensor, "items text_dim"] | None,
        known: Bool[Tensor, " items"],
        dim: int,
        *,
        ids: bool,
        dropout: float,
        id_dropout: float,
    ) -> None:
        super().__init__()
        self.register_buffer("known", known)
        self.register_buffer("text", text, persistent=False)
        self.dim = dim
        self.id_dropout = id_dropout
        self.projection = None if text is None else projection(text.shape[1], dim, dropout)
        self.free = nn.Embedding(len(known), dim) if ids else None
        if self.free is not None:
            nn.init.normal_(self.free.weight, std=dim**-0.5)

    def forward(self, rows: Int[Tensor, " n"] | None = None) -> Float[Tensor, "n dim"]:
        """Vectors of the given item rows, or of the whole catalogue."""
        if rows is None:
            rows = torch.arange(len(self.known), device=self.known.device)
        vectors = torch.zeros(len(rows), self.dim, device=rows.device)
        if self.projection is not None:
            vectors = vectors + self.projection(self.text[rows])
        if self.free is not None:
            present = self.known[rows]
            if self.training and self.projection is not None and self.id_dropout:
                present = present & (torch.rand(len(rows), device=rows.device) >= self.id_dropout)
            vectors = vectors + self.free(rows) * present.unsqueeze(-1)
        return vectors


class UserTower(nn.Module, ABC, Generic[Past, Examples]):
    """Turns what a user did into a vector."""

    @abstractmethod
    def forward(self, past: Past, items: ItemTower) -> Float[Tensor, "users dim"]:
        """One vector for each user of the batch."""

    @abstractmethod
    def training_vectors(self, examples: Examples, items: ItemTower) -> Float[Tensor, "n dim"]:
        """User vectors for `examples.target_rows`, in their order."""


class SequenceTower(UserTower[PaddedHistories, SequenceExamples]):
    """A small causal transformer over the item vectors of the history (SASRec, Kang & McAuley 2018).

    A learned start vector stands before the first event, so that a user without history has a vector too.
    """

    def __init__(self, dim: int, layers: int, heads: int, dropout: float, longest: int) -> None:
        super().__init__()
        self.start = nn.Parameter(torch.randn(dim) * dim**-0.5)
        self.places = nn.Embedding(longest + 1, dim)
        self.kinds = nn.Embedding(len(KINDS), dim)
        nn.init.normal_(self.places.weight, std=0.02)
        nn.init.zeros_(self.kinds.weight)
        self.ratings = unlearned(RATING_CODES, dim)
        self.gaps = unlearned(GAP_CODES, dim)
        self.waits = unlearned(GAP_CODES, dim)
        self.input_norm = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)
        layer = nn.TransformerEncoderLayer(
            dim, heads, 4 * dim, dropout, functional.gelu, batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, layers, nn.LayerNorm(dim), enable_nested_tensor=False)

    def forward(self, past: PaddedHistories, items: ItemTower) -> Float[Tensor, "users dim"]:
        """State after the last event of each user."""
        states = self.states(past, items)
        return states[torch.arange(len(states), device=states.device), past.lengths]

    def training_vectors(self, examples: SequenceExamples, items: ItemTower) -> Float[Tensor, "n dim"]:
        """State before each event that is to be predicted."""
        return self.states(examples.histories, items)[examples.wanted]

    def states(self, past: PaddedHistories, items: ItemTower) -> Float[Tensor, "users places dim"]:
        """State after each number of events, from none to all; undefined behind a user's length."""
        rows, inverse = torch.unique(past.items, return_inverse=True)
        events = items(rows)[inverse] + self.kinds(past.kinds)
        for name in ("ratings", "gaps", "waits"):
            codes = getattr(past, name)
            if codes is not None:
                events = events + getattr(self, name)(codes)
        start = self.start.expand(len(events), 1, -1)
        states = torch.cat([start, events], dim=1)
        states = self.input_norm(states) + self.places.weight[: states.shape[1]]
        causal = nn.Transformer.generate_square_subsequent_mask(states.shape[1], device=states.device)
        return self.layers(self.dropout(states), mask=causal, is_causal=True)  # type: ignore[no-any-return]


class TextTower(UserTower[TextPast, TextExamples]):
    """A projection of the language model's vector of the rendered history."""

    def __init__(self, text_dim: int, dim: int, dropout: float) -> None:
        super().__init__()
        self.text_dim = text_dim
        self.projection = projection(text_dim, dim, dropout)

    def forward(self, past: TextPast, items: ItemTower) -> Float[Tensor, "users dim"]:
        """Projections of the vectors of the histories."""
        return self.projection(past.vectors)  # type: ignore[no-any-return]

    def training_vectors(self, examples: TextExamples, items: ItemTower) -> Float[Tensor, "n dim"]:
        """Projections of the text vectors of the histories before each target."""
        return self.projection(examples.vectors)  # type: ignore[no-any-return]


class TwoTower(nn.Module):
    """An item tower and a user tower that meet in a dot product or a cosine."""

    def __init__(
        self, items: ItemTower, users: UserTower[Any, Any], temperature: Temperature, *, cosine: bool
    ) -> None:
        super().__init__()
        self.items = items
        self.users = users
        self.temperature = temperature
        self.cosine = cosine

    def item_vectors(self, rows: Int[Tensor, " n"] | None = None) -> Float[Tensor, "n dim"]:
        """Vectors whose inner products with user vectors are the scores."""
        return self._finished(self.items(rows))

    def user_vectors(self, past: Batch) -> Float[Tensor, "users dim"]:
        """One vector for each user of the batch."""
        return self._finished(self.users(past, self.items))

    def forward(
        self, examples: Batch, rows: Int[Tensor, " m"]
    ) -> tuple[Float[Tensor, "n dim"], Float[Tensor, "m dim"]]:
        """User vectors of training examples, and the vectors of the item rows that they are compared with."""
        return self.training_vectors(examples), self.item_vectors(rows)

    def training_vectors(self, examples: Batch) -> Float[Tensor, "n dim"]:
        """User vectors of training examples, in the order of their targets."""
        return self._finished(self.users.training_vectors(examples, self.items))

    def _finished(self, vectors: Float[Tensor, "n dim"]) -> Float[Tensor, "n dim"]:
        return functional.normalize(vectors, dim=-1) if self.cosine else vectors


def unlearned(codes: int, dim: int) -> nn.Embedding:
    """Vectors of codes that change nothing until they are learned; code 0 ("not known") never does.

    They draw no random numbers, so that a shop without such data gets the towers that it would get
    without them.
    """
    return nn.Embedding(codes, dim, padding_idx=0, _weight=torch.zeros(codes, dim))


def projection(width: int, dim: int, dropout: float) -> nn.Sequential:
    """From the language model's space to the towers': one hidden layer of twice the output's width."""
    return nn.Sequential(nn.Linear(width, 2 * dim), nn.GELU(), nn.Dropout(dropout), nn.Linear(2 * dim, dim))
