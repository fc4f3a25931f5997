"""Item texts that are read anew while the towers learn, so that the language model learns with them."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from aisle.retriever.encoder import CHARS_PER_TOKEN, Encoder
from aisle.retriever.finetune.train import Vectors


class Reader(nn.Module):
    """Text vectors of a catalogue by a language model that is being trained.

    In training, texts are read with a gradient; items beyond `limit` in a step, and the whole catalogue
    in evaluation, have the vectors that :meth:`refresh` last gave them. With a limit this is a memory of
    slowly ageing keys (Wu et al. 2018, "Unsupervised Feature Learning via Non-Parametric Instance
    Discrimination", section 3.1), no older than a round.

    Args:
        encoder: in float32, ready for training.
        texts: of each item row.
        limit: texts of a step that are read with a gradient; 0: every text that the step needs.
        chunk: of them in memory at once; 0: all.
    """

    kept: Tensor
    place: Tensor

    def __init__(self, encoder: Encoder, texts: list[str], *, limit: int, chunk: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.texts = texts
        self.limit = limit
        self.vectors = Vectors(encoder, chunk)
        longest = encoder.settings.max_tokens
        cut = [text[: longest * CHARS_PER_TOKEN] for text in texts]
        nothing = [encoder.tokenizer.eos_token_id or 0]
        tokens = encoder.tokenizer(cut, truncation=True, max_length=longest)["input_ids"]
        self.tokens = [ids or nothing for ids in tokens]
        self.register_buffer("kept", torch.zeros(len(texts), encoder.dim), persistent=False)
        self.register_buffer("place", torch.full((len(texts),), -1), persistent=False)
        self.live: Tensor | None = None
        self.aged = True
        self.register_load_state_dict_post_hook(_age)  # type: ignore[no-untyped-call]

    def begin(self, rows: Int[Tensor, " n"]) -> None:
        """Begin a training step whose histories and targets are the items `rows`."""
        if self.live is not None:
            self.place.fill_(-1)
            self.live = None
        if self.limit:
            distinct = torch.unique(rows)
            drawn = torch.randperm(len(distinct))[: self.limit].to(distinct.device)
            self._read(distinct[drawn])

    def forward(self, rows: Int[Tensor, " n"]) -> Float[Tensor, "n dim"]:
        """Text vectors of item rows: with a gradient in training, those of the last refresh otherwise."""
        if not self.training:
            self.refresh()
            return self.kept[rows]
        self.aged = True
        if not self.limit:
            self._read(torch.unique(rows[self.place[rows] < 0]))
        vectors = self.kept[rows]
        if self.live is None:
            return vectors
        place = self.place[rows]
        return torch.where((place >= 0)[:, None], self.live[place.clamp(min=0)].to(vectors.dtype), vectors)

    def refresh(self) -> None:
        """Read the whole catalogue with the language model as it is, if it has changed since."""
        if not self.aged:
            return
        training = self.training
        self.eval()
        found = torch.from_numpy(self.encoder.encode(self.texts, "encoding items"))
        self.train(training)
        self.kept.copy_(found)
        self.aged = False

    def _read(self, rows: Int[Tensor, " n"]) -> None:
        """Read texts with a gradient, for the rest of the step."""
        if not len(rows):
            return
        ids = [self.tokens[row] for row in rows.tolist()]
        batch = self.encoder.tokenizer.pad({"input_ids": ids}, return_tensors="pt")
        found = self.vectors({name: value.to(rows.device) for name, value in batch.items()})
        start = 0 if self.live is None else len(self.live)
        self.place[rows] = torch.arange(start, start + len(rows), device=rows.device)
        self.live = found if self.live is None else torch.cat([self.live, found])


def _age(module: nn.Module, _: Any) -> None:
    """Note that weights were loaded."""
    module.aged = True  # type: ignore[assignment]
