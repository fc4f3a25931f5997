"""Texts to vectors with a language model: mean pooling over tokens, unit length."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import AutoModel, AutoTokenizer, PreTrainedTokenizerBase
from transformers.utils import logging

from aisle.data.errors import InputError
from aisle.data.progress import meter
from aisle.retriever.arithmetic import in_bf16
from aisle.retriever.locate import locate, weights_sha256
from aisle.retriever.settings import EncoderSettings

CHARS_PER_TOKEN = 16
"""Characters read for each allowed token; megabytes behind them would cost seconds and be cut anyway."""


def mean_pool(
    states: Float[Tensor, "batch tokens dim"], mask: Int[Tensor, "batch tokens"]
) -> Float[Tensor, "batch dim"]:
    """Mean of the token states where the mask is 1 (Sentence-BERT, Reimers & Gurevych 2019, section 3)."""
    weights = mask.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(1) / weights.sum(1).clamp(min=1)


class Encoder:
    """A language model that turns texts into vectors of unit length."""

    def __init__(
        self, model: nn.Module, tokenizer: PreTrainedTokenizerBase, settings: EncoderSettings, folder: Path
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.settings = settings
        self.folder = folder

    @classmethod
    def load(cls, settings: EncoderSettings, device: str | torch.device = "cpu") -> "Encoder":
        """Read the model that `settings.model` names.

        Raises:
            InputError: the model is not there (see :func:`aisle.retriever.locate.locate`) or cannot be read.
        """
        folder = locate(settings.model)
        dtype = torch.bfloat16 if in_bf16(settings.precision, device) else torch.float32
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            model = AutoModel.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, dtype=dtype
            )
        except (OSError, ValueError, SafetensorError) as error:
            raise InputError(
                "an encoder that transformers can load without code of its own",
                f"{settings.model}: {str(error).splitlines()[0]}",
                "take an encoder such as sentence-transformers/all-MiniLM-L6-v2",
            ) from error
        return cls(model.to(device).eval(), tokenizer, settings, folder)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self.model.config.hidden_size)  # type: ignore[union-attr, arg-type]

    @property
    def fingerprint(self) -> str:
        """SHA-256 over weights and tokenizer."""
        return weights_sha256(self.folder)

    @property
    def special_tokens(self) -> int:
        """Tokens that the model adds to each text."""
        return int(self.tokenizer.num_special_tokens_to_add())

    def count_tokens(self, text: str) -> int:
        """Tokens of `text`, without the special ones."""
        return len(self.tokenizer.tokenize(text))

    def encode(
        self, texts: Sequence[str], what: str = "encoding texts", longest: int | None = None
    ) -> NDArray[np.float32]:
        """Vectors of `texts`, float32 (len(texts), dim), each of length 1.

        Equal texts are encoded once. Batches hold texts of similar length within `batch_tokens`.

        Args:
            texts: any texts; "" has a vector too.
            what: name of the work, for the progress bar.
            longest: tokens of a text that are read, special ones included; `max_tokens` unless told.
        """
        place: dict[str, int] = {}
        rows = np.fromiter((place.setdefault(text, len(place)) for text in texts), np.int64, len(texts))
        distinct = list(place)
        vectors = np.empty((len(distinct), self.dim), np.float32)
        with meter(what, len(distinct)) as progress, torch.inference_mode():
            for chosen, batch in self._batches(distinct, longest or self.settings.max_tokens):
                states = self.model(**batch).last_hidden_state
                pooled = mean_pool(states.float(), batch["attention_mask"])
                vectors[chosen] = nn.functional.normalize(pooled, dim=-1).cpu().numpy()
                progress.advance(len(chosen))
        return vectors[rows]

    def _batches(
        self, texts: Sequence[str], limit: int
    ) -> Iterator[tuple[NDArray[np.int64], dict[str, Tensor]]]:
        """Batches of similar length, longest first: (positions in `texts`, model inputs)."""
        ids: list[list[int]] = []
        for start in range(0, len(texts), 10_000):
            part = [text[: limit * CHARS_PER_TOKEN] for text in texts[start : start + 10_000]]
            ids += self.tokenizer(part, truncation=True, max_length=limit)["input_ids"]
        lengths = np.array([len(tokens) for tokens in ids])
        order = np.argsort(-lengths, kind="stable")
        device = next(self.model.parameters()).device
        start = 0
        while start < len(order):
            stop = start + max(1, self.settings.batch_tokens // max(1, int(lengths[order[start]])))
            chosen = order[start:stop]
            batch = self.tokenizer.pad({"input_ids": [ids[row] for row in chosen]}, return_tensors="pt")
            yield chosen, {name: value.to(device) for name, value in batch.items()}
            start = stop
