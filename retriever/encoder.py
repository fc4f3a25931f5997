"""Texts to vectors of unit length with a language model."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from safetensors import SafetensorError
from tokenizers import normalizers
from torch import Tensor, nn
from transformers import AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging

from aisle.data.errors import InputError
from aisle.data.progress import meter
from aisle.retriever.arithmetic import in_bf16
from aisle.retriever.interchange import Layout, read_layout, write_layout
from aisle.retriever.locate import locate, weights_sha256
from aisle.retriever.pooling import pool
from aisle.retriever.settings import EncoderSettings, Pooling

CHARS_PER_TOKEN = 16
"""Characters read for each allowed token; megabytes behind them would cost seconds and be cut anyway."""


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

    @classmethod
    def load(cls, settings: EncoderSettings, device: str | torch.device = "cpu") -> "Encoder":
        """Read the model that `settings.model` names: a plain one, or a folder of sentence-transformers.

        Raises:
            InputError: the model is not there (see :func:`aisle.retriever.locate.locate`), cannot be read, is
                no encoder or decoder alone, or lacks weights that its configuration asks for.
        """
        folder = locate(settings.model)
        layout = read_layout(folder)
        dtype = torch.bfloat16 if in_bf16(settings.precision, device) else torch.float32
        try:
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
            model.to(device).eval(),  # type: ignore[arg-type]
            tokenizer,
            settings,
            folder,
            pooling,
            lowercase=layout.lowercase,
        )
        encoder.check_length(settings.max_tokens, "encoder.max_tokens")
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
        write_layout(folder, Layout(folder, self.pooling, self.lowercase), self.dim, self.settings.max_tokens)

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
        pooled = pool(states.float(), batch["attention_mask"], self.pooling)
        return nn.functional.normalize(pooled, dim=-1)

    def encode(
        self, texts: Sequence[str], what: str = "encoding texts", longest: int | None = None
    ) -> NDArray[np.float32]:
        """Vectors of `texts`, float32 (len(texts), dim), each of length 1.

        Equal texts are encoded once. Batches hold texts of similar length within `batch_tokens`.

        Args:
            texts: any texts; "" has a vector too.
            what: name of the work, for the progress bar.
            longest: tokens of a text that are read, special ones included; `max_tokens` unless told.

        Raises:
            InputError: the model has no positions for `longest` tokens.
        """
        self.check_length(longest or self.settings.max_tokens, "the longest text")
        place: dict[str, int] = {}
        rows = np.fromiter((place.setdefault(text, len(place)) for text in texts), np.int64, len(texts))
        distinct = list(place)
        vectors = np.empty((len(distinct), self.dim), np.float32)
        with meter(what, len(distinct)) as progress, torch.inference_mode():
            for chosen, batch in self._batches(distinct, longest or self.settings.max_tokens):
                vectors[chosen] = self.vectors(batch).cpu().numpy()
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
        nothing = [self.tokenizer.eos_token_id or 0]  # for "", where the tokenizer adds no special tokens
        ids = [tokens or nothing for tokens in ids]
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


def read_tokenizer(folder: Path, *, lowercase: bool = False) -> PreTrainedTokenizerBase:
    """The tokenizer of a language model, padding on the right.

    Args:
        folder: holds the language model.
        lowercase: put texts into lower case first.
    """
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    tokenizer.padding_side = "right"  # absolute positions of causal models count from the first token
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    if lowercase:
        pipeline = tokenizer.backend_tokenizer
        steps = [normalizers.Lowercase(), *([pipeline.normalizer] if pipeline.normalizer else [])]
        pipeline.normalizer = normalizers.Sequence(steps)
    return tokenizer


def read_model(folder: Path, dtype: torch.dtype) -> PreTrainedModel:
    """The language model in a folder, without a head.

    Raises:
        ValueError: it is an encoder and a decoder, or its weights are those of another architecture.
    """
    with quiet_transformers():
        model, loaded = AutoModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, dtype=dtype, output_loading_info=True
        )
    if model.config.is_encoder_decoder:
        raise ValueError("an encoder with a decoder behind it")
    if missing := sorted(name for name in loaded["missing_keys"] if "pooler" not in name):
        raise ValueError(f"no weights for {len(missing)} parameters, such as {missing[0]}")
    if hasattr(model.config, "use_cache"):
        model.config.use_cache = False  # nothing is generated
    return model  # type: ignore[no-any-return]


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Without the bars and reports of transformers' loading and saving; errors still come."""
    level = logging.get_verbosity()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        logging.set_verbosity(level)
