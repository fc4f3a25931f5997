"""A language model that reads a review to its end: windows, one vector, classes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aisle.data.progress import meter
from aisle.retriever.arithmetic import in_bf16
from aisle.retriever.encoder import Encoder
from aisle.retriever.pooling import pool

Window = list[int]


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
        self.head = nn.Linear(encoder.dim, classes)
        self.overlap = overlap

    def forward(self, batch: WindowBatch) -> Tensor:
        """Logits (reviews, classes)."""
        device = self.head.weight.device
        bf16 = in_bf16(self.encoder.settings.precision, device)
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            states = self.body(**batch.tokens).last_hidden_state
        pooled = pool(states.float(), batch.tokens["attention_mask"], self.encoder.pooling)
        logits = self.head(pooled) * batch.share[:, None]
        return torch.zeros(batch.reviews, logits.shape[1], device=device).index_add(0, batch.owner, logits)

    def windows(self, texts: Sequence[str]) -> list[list[Window]]:
        """Tokens of each text, in windows of at most `max_tokens`; nothing of a text is left out."""
        tokenizer, longest = self.encoder.tokenizer, self.encoder.settings.max_tokens
        found: list[list[Window]] = [[] for _ in texts]
        for start in range(0, len(texts), 1000):
            part = tokenizer(
                list(texts[start : start + 1000]),
                truncation=True,
                max_length=longest,
                stride=self.overlap,
                return_overflowing_tokens=True,
            )
            for row, ids in zip(part["overflow_to_sample_mapping"], part["input_ids"], strict=True):
                found[start + row].append(list(ids) or [tokenizer.eos_token_id or 0])
        return found

    def collate(self, reviews: Sequence[Sequence[Window]]) -> WindowBatch:
        """A batch of whole reviews."""
        windows = [window for review in reviews for window in review]
        owner = np.repeat(np.arange(len(reviews)), [len(review) for review in reviews])
        lengths = np.array([len(window) for window in windows], np.float32)
        share = lengths / np.bincount(owner, lengths)[owner]
        return self._batch(windows, owner, share.astype(np.float32), len(reviews))

    def score(self, texts: Sequence[str], what: str = "reading reviews") -> NDArray[np.float32]:
        """Logits of `texts`, float32 (texts, classes); memory does not grow with the length of a text."""
        found = np.zeros((len(texts), self.head.out_features), np.float32)
        self.eval()
        with meter(what, len(texts)) as progress, torch.inference_mode():
            for start in range(0, len(texts), 10_000):
                part = self.windows(texts[start : start + 10_000])
                for rows, batch in self._stream(part):
                    np.add.at(found, start + rows, self(batch).float().cpu().numpy())
                progress.advance(len(part))
        return found

    def _stream(self, reviews: list[list[Window]]) -> Iterator[tuple[NDArray[np.int64], WindowBatch]]:
        """All windows, those of similar length together: (review of each, a batch that keeps them apart)."""
        owner = np.repeat(np.arange(len(reviews)), [len(review) for review in reviews])
        windows = [window for review in reviews for window in review]
        lengths = np.array([len(window) for window in windows], np.float32)
        shares = (lengths / np.bincount(owner, lengths)[owner]).astype(np.float32)
        order = np.argsort(-lengths, kind="stable")
        start = 0
        while start < len(order):
            size = max(1, self.encoder.settings.batch_tokens // int(lengths[order[start]]))
            chosen = order[start : start + size]
            batch = self._batch(
                [windows[place] for place in chosen], np.arange(len(chosen)), shares[chosen], len(chosen)
            )
            yield owner[chosen], batch
            start += size

    def _batch(
        self, windows: list[Window], owner: NDArray[np.int64], share: NDArray[np.float32], reviews: int
    ) -> WindowBatch:
        device = self.head.weight.device
        padded = self.encoder.tokenizer.pad({"input_ids": windows}, return_tensors="pt")
        tokens = {name: value.to(device) for name, value in padded.items()}
        return WindowBatch(
            tokens, torch.from_numpy(owner).to(device), torch.from_numpy(share).to(device), reviews
        )
