"""Texts to vectors of unit length with a language model."""

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from aisle.data.errors import InputError
from aisle.data.progress import meter
from aisle.retriever.checkpoint import loaded_in, quiet_transformers, read_model, read_tokenizer
from aisle.retriever.engine.pieces import Ids, Pieces
from aisle.retriever.engine.readers import Reader, mask_of
from aisle.retriever.engine.stream import Job, stream
from aisle.retriever.engine.threads import limit_threads
from aisle.retriever.interchange import Layout, read_layout, write_layout
from aisle.retriever.locate import locate, weights_sha256
from aisle.retriever.pooling import pool
from aisle.retriever.settings import EncoderSettings, Pooling
from aisle.retriever.static import StaticModel, read_static, read_static_tokenizer

CHARS_PER_TOKEN = 16
"""Characters read for each allowed token; megabytes behind them would cost seconds and be cut anyway."""

GPU_BATCHES = 32
"""Batches of a CPU that one of a GPU holds."""


class Encoder:
    """A language model that turns texts into vectors of unit length.

    Masked models (BERT class) and causal ones (GPT-2 class) alike; `pooling` says how tokens become a vector,
    `lowercase` that texts are put into lower case before the tokenizer's own rules.
    """

    def __init__(
        self,
        model: nn.Module,
        tokenizer: PreTrainedTokenizerBase,
        settings: EncoderSettings,
        folder: Path,
        pooling: Pooling = "mean",
        *,
        lowercase: bool = False,
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.settings = settings
        self.folder = folder
        self.pooling = pooling
        self.lowercase = lowercase
        self._reader: Reader | None = None
        self._tokenizing = threading.Lock()  # a tokenizer can serve one thread at a time

    @classmethod
    def load(cls, settings: EncoderSettings, device: str | torch.device = "cpu") -> "Encoder":
        """Read the model that `settings.model` names: a plain one, or a folder of sentence-transformers.

        Raises:
            InputError: the model is not there (see :func:`aisle.retriever.locate.locate`), cannot be read, is
                no encoder or decoder alone, or lacks weights that its configuration asks for.
        """
        folder = locate(settings.model)
        layout = read_layout(folder)
        limit_threads()
        dtype = loaded_in(settings, layout.language_model, torch.device(device))
        try:
            if layout.static:
                tokenizer: PreTrainedTokenizerBase = read_static_tokenizer(layout.language_model)
                model: nn.Module = read_static(layout.language_model)
            else:
                tokenizer = read_tokenizer(layout.language_model, lowercase=layout.lowercase)
                model = read_model(layout.language_model, dtype)
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            raise InputError(
                "an encoder that transformers can load without code of its own",
                f"{settings.model}: {str(error).splitlines()[0]}",
                "take an encoder such as sentence-transformers/all-MiniLM-L6-v2",
            ) from error
        pooling = (layout.pooling or "mean") if settings.pooling == "auto" else settings.pooling
        encoder = cls(
            model.to(device).eval(),
            tokenizer,
            settings,
            folder,
            pooling,
            lowercase=layout.lowercase,
        )
        encoder.check_length(settings.max_tokens, "encoder.max_tokens")
        if encoder.dim > encoder.width:
            raise InputError(
                f"vectors of at most {encoder.width} numbers, which is what {settings.model} gives",
                f"encoder.dim asks for {settings.dim}",
                "lower encoder.dim",
            )
        return encoder

    def save(self, folder: Path) -> None:
        """Write the encoder as a folder that sentence-transformers and :meth:`load` read, in full precision.

        Weights that were loaded in bf16 stay rounded: load with `precision="fp32"` what is to be trained.
        """
        folder.mkdir(parents=True, exist_ok=True)
        full = all(weights.dtype == torch.float32 for weights in self.model.parameters())
        model = self.model if full else deepcopy(self.model).float()
        with quiet_transformers():
            model.save_pretrained(folder)  # type: ignore[operator]
            self.tokenizer.save_pretrained(folder)
        static = isinstance(self.model, StaticModel)
        layout = Layout(folder, self.pooling, self.lowercase, static)
        write_layout(folder, layout, self.width, self.settings.max_tokens)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self.width if self.settings.dim is None else self.settings.dim

    @property
    def width(self) -> int:
        """Length of the state of a token."""
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
        with self._tokenizing:
            return len(self.tokenizer.tokenize(text))

    @property
    def longest(self) -> int | None:
        """Most tokens of a text that the model has positions for, special ones included; None: no limit."""
        for name, module in self.model.named_modules():
            if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
                padding = module.padding_idx  # positions of RoBERTa's kind begin behind it
                return module.num_embeddings - (0 if padding is None else padding + 1)
        return getattr(self.model.config, "max_position_embeddings", None)

    def check_length(self, tokens: int, setting: str) -> None:
        """Refuse texts of more tokens than the model has positions for.

        Raises:
            InputError: it has fewer.
        """
        if self.longest is not None and tokens > self.longest:
            raise InputError(
                f"texts of at most {self.longest} tokens, which is what {self.settings.model} can read",
                f"{setting} asks for {tokens}",
                f"lower {setting}, or take a model for longer texts",
            )

    def vectors(self, batch: Mapping[str, Tensor]) -> Float[Tensor, "batch dim"]:
        """Vectors of a tokenized batch, padded on the right, each of length 1; with gradients."""
        states = self.model(**batch).last_hidden_state
        return self._unit(states.float(), mask_of(batch))

    def _unit(self, states: Tensor, mask: Tensor) -> Tensor:
        return nn.functional.normalize(pool(states, mask, self.pooling)[:, : self.dim], dim=-1)

    def encode(
        self, texts: Sequence[str], what: str = "encoding texts", longest: int | None = None
    ) -> NDArray[np.float32]:
        """Vectors of `texts`, float32 (len(texts), dim), each of length 1; equal texts are encoded once.

        Args:
            texts: any texts; "" has a vector too.
            what: name of the work, for the progress bar.
            longest: tokens of a text that are read, special ones included; `max_tokens` unless told.

        Raises:
            InputError: the model has no positions for `longest` tokens.
        """
        place: dict[str, int] = {}
        rows = np.fromiter((place.setdefault(text, len(place)) for text in texts), np.int64, len(texts))
        vectors = np.empty((len(place), self.dim), np.float32)
        done = 0
        with meter(what, len(place)) as progress:
            for block in self.stream(place, longest):
                vectors[done : done + len(block)] = block
                done += len(block)
                progress.advance(len(block))
        return vectors[rows]

    def stream(self, texts: Iterable[str], longest: int | None = None) -> Iterator[NDArray[np.float32]]:
        """Vectors of any number of texts in their order, some thousands at a time: float32 (some, dim).

        Texts that are equal and near each other are encoded once. Memory does not grow with their number:
        `texts` may be a generator, which is read in another thread while earlier texts are computed.

        Args:
            texts: any texts.
            longest: as in :meth:`encode`.

        Raises:
            InputError: the model has no positions for `longest` tokens.
        """
        limit = longest or self.settings.max_tokens
        self.check_length(limit, "the longest text")

        def tokenize(window: list[str]) -> Pieces:
            return Pieces(self.ids(window, limit))

        job = Job[str](
            tokenize,
            lambda batch: self.read(batch.tokens),
            self.device,
            self.budget,
            self.pad,
            settled=self.reader.settled,
        )
        return stream((text[: limit * CHARS_PER_TOKEN] for text in texts), job)

    def read(self, tokens: Mapping[str, Tensor]) -> Float[Tensor, "batch dim"]:
        """Vectors of a tokenized batch as :meth:`vectors`, by the fast copy of the model; no gradients."""
        return self._unit(self.reader(tokens), mask_of(tokens))

    @property
    def reader(self) -> Reader:
        """The language model as it is read with fast; made anew when `model` has become another one."""
        if self._reader is None or self._reader.model is not self.model:
            self._reader = Reader.of(self.model, self.settings)
        return self._reader

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.model.parameters()).device

    @property
    def budget(self) -> int:
        """Tokens of a batch; a GPU is busy with more of them."""
        return self.settings.batch_tokens * (GPU_BATCHES if self.device.type == "cuda" else 1)

    @property
    def pad(self) -> int:
        """The token that fills a batch up."""
        return int(self.tokenizer.pad_token_id or 0)

    def ids(self, texts: list[str], limit: int) -> list[Ids]:
        """Tokens of texts, at most `limit` of each; one where a text has none."""
        with self._tokenizing:
            found = self.tokenizer(texts, truncation=True, max_length=limit, return_attention_mask=False)
        return [tokens or self.nothing for tokens in found["input_ids"]]

    def pairs(self, texts: list[str], others: list[str]) -> Pieces:
        """Tokens of pairs of texts, at most `max_tokens` of each; what is longer loses first."""
        limit = self.settings.max_tokens
        both = [[text[: limit * CHARS_PER_TOKEN] for text in some] for some in (texts, others)]
        with self._tokenizing:
            found = self.tokenizer(
                *both,
                truncation="longest_first",
                max_length=limit,
                return_attention_mask=False,
            )
        return Pieces([tokens or self.nothing for tokens in found["input_ids"]], found.get("token_type_ids"))

    def windows(self, texts: Sequence[str], overlap: int) -> list[list[Ids]]:
        """Tokens of each text, in windows of at most `max_tokens`; nothing of a text is left out.

        Args:
            texts: any texts.
            overlap: tokens that two windows in sequence have in common.
        """
        found: list[list[Ids]] = [[] for _ in texts]
        for start in range(0, len(texts), 1000):
            with self._tokenizing:
                part = self.tokenizer(
                    list(texts[start : start + 1000]),
                    truncation=True,
                    max_length=self.settings.max_tokens,
                    stride=overlap,
                    return_overflowing_tokens=True,
                    return_attention_mask=False,
                )
            for row, ids in zip(part["overflow_to_sample_mapping"], part["input_ids"], strict=True):
                found[start + row].append(list(ids) or self.nothing)
        return found

    @property
    def nothing(self) -> Ids:
        """What stands for "", where the tokenizer adds no special tokens."""
        return [self.tokenizer.eos_token_id or 0]
