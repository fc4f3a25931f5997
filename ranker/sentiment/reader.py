"""A language model that reads a review to its end: windows, one vector, classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aisle.data.progress import meter
from aisle.retriever.arithmetic import in_bf16
from aisle.retriever.encoder import Encoder
from aisle.retriever.engine.pieces import Ids, in_pieces
from aisle.retriever.engine.readers import SCORES_COSINE, Reader, mask_of
from aisle.retriever.engine.stream import Batch, Job, stream
from aisle.retriever.pooling import pool


@dataclass(frozen=True)
class WindowBatch:
    """Windows of some reviews.

    Attributes:
        tokens: inputs of the language model, (windows, tokens).
        owner: the review of each window, int64 (windows).
        share: of the review's tokens that the window holds, float32 (windows); 1 over a review.
        reviews: how many there are.
    """

    tokens: Mapping[str, Tensor]
    owner: Tensor
    share: Tensor
    reviews: int


class ReviewReader(nn.Module):
    """Language model and classes: logits of a review are the mean of its windows', weighted by their tokens.

    Args:
        encoder: whose tokens are pooled as its own vectors are.
        classes: how many.
        overlap: tokens that two windows in sequence have in common.
    """

    def __init__(self, encoder: Encoder, classes: int, overlap: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.body = encoder.model
        self.head = nn.Linear(encoder.width, classes)
        self.overlap = overlap
        self._reader: Reader | None = None

    def forward(self, batch: WindowBatch) -> Tensor:
        """Logits (reviews, classes)."""
        device = self.head.weight.device
        bf16 = in_bf16(self.encoder.settings.precision, device)
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            states = self.body(**batch.tokens).last_hidden_state
        logits = self._classes(states.float(), mask_of(batch.tokens)) * batch.share[:, None]
        return torch.zeros(batch.reviews, logits.shape[1], device=device).index_add(0, batch.owner, logits)

    def _classes(self, states: Tensor, mask: Tensor) -> Tensor:
        found: Tensor = self.head(pool(states, mask, self.encoder.pooling))
        return found

    def train(self, mode: bool = True) -> "ReviewReader":
        """Begin or end training; what is read with fast is made anew then."""
        self._reader = None
        return super().train(mode)

    def windows(self, texts: Sequence[str]) -> list[list[Ids]]:
        """Tokens of each text, in windows of at most `max_tokens`; nothing of a text is left out."""
        return self.encoder.windows(texts, self.overlap)

    def collate(self, reviews: Sequence[Sequence[Ids]]) -> WindowBatch:
        """A batch of whole reviews."""
        pieces = in_pieces(reviews)
        device = self.head.weight.device
        padded = self.encoder.tokenizer.pad({"input_ids": pieces.ids}, return_tensors="pt")
        tokens = {name: value.to(device) for name, value in padded.items()}
        owner, share = (torch.from_numpy(array).to(device) for array in (pieces.owner, pieces.share))
        return WindowBatch(tokens, owner, share, len(reviews))

    def score(self, texts: Sequence[str], what: str = "reading reviews") -> NDArray[np.float32]:
        """Logits of `texts`, float32 (texts, classes); memory does not grow with the length of a text."""
        if self.training:
            self.eval()
        if self._reader is None:
            self._reader = Reader.of(self.body, self.encoder.settings, SCORES_COSINE)
        reader, encoder = self._reader, self.encoder

        def compute(batch: Batch[str]) -> Tensor:
            return self._classes(reader(batch.tokens), mask_of(batch.tokens))

        job = Job[str](
            lambda some: in_pieces(self.windows(some)),
            compute,
            self.head.weight.device,
            encoder.budget,
            encoder.pad,
            weight=len,
            settled=reader.settled,
        )
        found = np.empty((len(texts), self.head.out_features), np.float32)
        done = 0
        with meter(what, len(texts)) as progress:
            for block in stream(texts, job):
                found[done : done + len(block)] = block
                done += len(block)
                progress.advance(len(block))
        return found
