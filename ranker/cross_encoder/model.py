"""A language model's vector of a pair, joined with the pair's features, to one score."""

import torch
from torch import Tensor, nn

from aisle.retriever.encoder import Encoder
from aisle.retriever.engine.readers import SCORES_COSINE, Reader, mask_of
from aisle.retriever.pooling import pool
from aisle.retriever.settings import EncoderSettings


class PairModel(nn.Module):
    """Scores of pairs from their tokens and their normalised features.

    The last layer starts at 0, and the score over features is added: training starts from its order.

    Args:
        encoder: its language model is read through its pooling.
        width: of the features; 0: the text alone.
        hidden: width of the layer that joins them.
        dropout: in training.
    """

    def __init__(self, encoder: Encoder, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.language_model = encoder.model
        self.pooling = encoder.pooling
        self.with_features = width > 0
        self.norm = nn.LayerNorm(encoder.width)
        last = nn.Linear(hidden, 1)
        nn.init.zeros_(last.weight)
        self.head = nn.Sequential(
            nn.Linear(encoder.width + width, hidden), nn.ReLU(), nn.Dropout(dropout), last
        )
        self.trust = nn.Parameter(torch.ones(()))
        self._reader: Reader | None = None

    def forward(self, tokens: dict[str, Tensor], values: Tensor, first: Tensor) -> Tensor:
        """Score of each pair (pairs).

        Args:
            tokens: of the language model (pairs, tokens).
            values: normalised features (pairs, width).
            first: scores of the scorers over features (pairs); not read by the text alone.
        """
        states = self.language_model(**tokens).last_hidden_state.float()
        return self.joined(states, mask_of(tokens), values, first)

    def joined(self, states: Tensor, mask: Tensor, values: Tensor, first: Tensor) -> Tensor:
        """Score of each pair from the states of its tokens (pairs, tokens, dim), and where they are real."""
        vectors = self.norm(pool(states, mask, self.pooling))
        if not self.with_features:
            text_alone: Tensor = self.head(vectors).squeeze(-1)
            return text_alone
        joined: Tensor = self.head(torch.cat([vectors, values], 1)).squeeze(-1)
        return joined + self.trust * first

    def reader(self, settings: EncoderSettings) -> Reader:
        """The language model as it is read with fast; made anew after training."""
        if self._reader is None:
            self._reader = Reader.of(self.language_model, settings, SCORES_COSINE)
        return self._reader

    def train(self, mode: bool = True) -> "PairModel":
        """Begin or end training; what is read with fast is made anew then."""
        self._reader = None
        return super().train(mode)
