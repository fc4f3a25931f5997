"""The two towers behind one interface: items and users become vectors of one space."""

from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from aisle.data.schema import KINDS
from aisle.retriever.batches import (
    Batch,
    PaddedHistories,
    SequenceExamples,
    TextExamples,
    TextPast,
)
from aisle.retriever.inputs import GAP_CODES, RATING_CODES
from aisle.retriever.temperature import Temperature

MOST_ACTIVATIONS = 1 << 25
"""Numbers in the largest tensor of a transformer layer (128 MiB in float32)."""

BLOCK = 1 << 16
"""Items whose vectors are computed at once where no gradient is wanted."""

Past = TypeVar("Past")
Examples = TypeVar("Examples")


class ItemTower(nn.Module):
    """Item vectors: a projection of the text's vector, plus a free vector for items seen in training.

    Args:
        text: frozen text vectors of the catalogue, or None for ids alone.
        known: which items have events in training; the others have no free vector, their text alone speaks.
        dim: length of an item vector.
        ids: whether items have free vectors.
        buckets: free vectors that all items share, two of them summed for each item, chosen by hash
            (Svenstrup et al. 2017, "Hash Embeddings", without weights); None: each item has its own.
        dropout: inside the projection.
        id_dropout: share of free vectors left out in each training step.

    Attributes:
        reader: text vectors of item rows, where they are not frozen.
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
        buckets: int | None = None,
    ) -> None:
        super().__init__()
        self.register_buffer("known", known)
        self.register_buffer("text", text, persistent=False)
        self.dim = dim
        self.id_dropout = id_dropout
        self.reader: nn.Module | None = None
        self.projection = None if text is None else projection(text.shape[1], dim, dropout)
        self.buckets = buckets
        self.free = nn.Embedding(buckets or len(known), dim) if ids else None
        if self.free is not None:
            nn.init.normal_(self.free.weight, std=(dim * (2 if buckets else 1)) ** -0.5)

    def forward(self, rows: Int[Tensor, " n"] | None = None) -> Float[Tensor, "n dim"]:
        """Vectors of the given item rows, or of the whole catalogue."""
        if rows is None:
            rows = torch.arange(len(self.known), device=self.known.device)
        vectors = torch.zeros(len(rows), self.dim, device=rows.device)
        if self.projection is not None:
            vectors = vectors + self.projection(self.text[rows] if self.reader is None else self.reader(rows))
        if self.free is not None:
            present = self.known[rows]
            if self.training and self.projection is not None and self.id_dropout:
                present = present & (torch.rand(len(rows), device=rows.device) >= self.id_dropout)
            vectors = vectors + self._free(self.free, rows) * present.unsqueeze(-1)
        return vectors

    def _free(self, free: nn.Embedding, rows: Int[Tensor, " n"]) -> Float[Tensor, "n dim"]:
        if self.buckets is None:
            return free(rows)  # type: ignore[no-any-return]
        first, second = hashed(rows, self.buckets)
        return free(first) + free(second)  # type: ignore[no-any-return]


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

    Attributes:
        most_activations: numbers in the largest tensor of a layer; where the whole batch needs more, parts
            of the users take turns, and what they need for the gradient is computed again instead of
            being kept (Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost").
    """

    def __init__(self, dim: int, layers: int, heads: int, dropout: float, longest: int) -> None:
        super().__init__()
        self.most_activations = MOST_ACTIVATIONS
        self.heads = heads
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
        states = self.dropout(self.input_norm(states) + self.places.weight[: states.shape[1]])
        users, places, dim = states.shape
        size = max(1, self.most_activations // (places * max(self.heads * places, 4 * dim)))
        if users <= size:
            return self._attended(states)
        if not torch.is_grad_enabled():
            return torch.cat([self._attended(part) for part in states.split(size)])
        parts = [checkpoint(self._attended, part, use_reentrant=False) for part in states.split(size)]
        return torch.cat(parts)

    def _attended(self, states: Float[Tensor, "users places dim"]) -> Float[Tensor, "users places dim"]:
        causal = nn.Transformer.generate_square_subsequent_mask(states.shape[1], device=states.device)
        return self.layers(states, mask=causal, is_causal=True)  # type: ignore[no-any-return]


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
        """Vectors whose inner products with user vectors are the scores; of the whole catalogue unless told.

        Without gradients the catalogue is taken a block of items at a time.
        """
        items = len(self.items.known)
        if rows is not None or torch.is_grad_enabled() or items <= BLOCK:
            return self._finished(self.items(rows))
        place = self.items.known.device
        vectors = torch.empty(items, self.items.dim, device=place)
        for start in range(0, items, BLOCK):
            block = torch.arange(start, min(items, start + BLOCK), device=place)
            vectors[block] = self._finished(self.items(block)).to(vectors.dtype)
        return vectors

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


def hashed(rows: Int[Tensor, " n"], buckets: int) -> tuple[Int[Tensor, " n"], Int[Tensor, " n"]]:
    """Two buckets of each item row, by multiplicative hashing (Knuth, TAOCP volume 3, section 6.4)."""
    first, second = 2_654_435_761, 2_246_822_519  # Knuth's, near 2**32 / golden ratio, and a prime of xxHash
    return (rows * first % 2**32 * buckets) >> 32, (rows * second % 2**32 * buckets) >> 32


def projection(width: int, dim: int, dropout: float) -> nn.Sequential:
    """From the language model's space to the towers': one hidden layer of twice the output's width."""
    return nn.Sequential(nn.Linear(width, 2 * dim), nn.GELU(), nn.Dropout(dropout), nn.Linear(2 * dim, dim))
