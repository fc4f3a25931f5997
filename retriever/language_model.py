"""Language models with the head of their objective: new ones, and checkpoints to go on from."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    BertConfig,
    GPT2Config,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
)

from aisle.data.errors import InputError
from aisle.retriever.checkpoint import quiet_transformers, read_tokenizer
from aisle.retriever.encoder import Encoder
from aisle.retriever.interchange import read_layout
from aisle.retriever.locate import locate
from aisle.retriever.masking import Masking
from aisle.retriever.settings import EncoderSettings, Pooling, PretrainSettings
from aisle.retriever.vocabulary import Objective, coverage, train_tokenizer

LOG = logging.getLogger(__name__)

POSITIONS = 512
"""Tokens that a model from scratch can read."""

UNKNOWN_LIMIT = 0.05
"""Share of unknown tokens from which on a tokenizer does not know the shop's language."""


@dataclass(frozen=True)
class LanguageModel:
    """A language model with its head and its tokenizer.

    Attributes:
        model: with the head of its objective.
        tokenizer: of the model.
        objective: what it is trained for.
        pooling: of the vectors that it will give.
        lowercase: whether texts are put into lower case before the tokenizer's own rules.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    objective: Objective
    pooling: Pooling = "mean"
    lowercase: bool = False

    @property
    def padding(self) -> int:
        """Id that fills up a batch."""
        return int(self.tokenizer.pad_token_id or 0)

    def masking(self, settings: PretrainSettings) -> Masking | None:
        """How words are hidden; None for the next token."""
        if self.objective == "causal":
            return None
        return Masking(settings.mask_share, int(self.tokenizer.mask_token_id), len(self.tokenizer))

    def encoder(self, settings: EncoderSettings) -> Encoder:
        """The model without its head, as an encoder."""
        pooling = self.pooling if settings.pooling == "auto" else settings.pooling
        body, folder = self.model.base_model, Path(settings.model)
        return Encoder(body, self.tokenizer, settings, folder, pooling, lowercase=self.lowercase)

    def warn_of_unknown(self, texts: Sequence[str], name: str) -> None:
        """Warn of a tokenizer that does not know the language of the texts."""
        if (share := coverage(self.tokenizer, texts).unknown) > UNKNOWN_LIMIT:
            LOG.warning(
                "pretrain: %.0f%% of the tokens of the held-out texts are unknown to %s; set "
                "retriever.pretrain.from_scratch to train a tokenizer on the texts",
                100 * share,
                name,
            )


def new_model(texts: Sequence[str], settings: PretrainSettings, pooling: Pooling) -> LanguageModel:
    """A model of random weights with a tokenizer learned from `texts`: BERT's or GPT-2's architecture."""
    tokenizer = train_tokenizer(texts, settings.vocabulary_size, settings.objective, POSITIONS)
    most = max(1, settings.hidden // 64)  # the usual width of a head
    heads = next(count for count in range(most, 0, -1) if settings.hidden % count == 0)
    if settings.objective == "masked":
        config: PretrainedConfig = BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=settings.hidden,
            num_hidden_layers=settings.layers,
            num_attention_heads=heads,
            intermediate_size=4 * settings.hidden,
            max_position_embeddings=POSITIONS,
            pad_token_id=tokenizer.pad_token_id,
        )
        model = AutoModelForMaskedLM.from_config(config)  # type: ignore[no-untyped-call]
    else:
        config = GPT2Config(
            vocab_size=len(tokenizer),
            n_embd=settings.hidden,
            n_layer=settings.layers,
            n_head=heads,
            n_positions=POSITIONS,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            use_cache=False,
        )
        model = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
    return LanguageModel(model, tokenizer, settings.objective, pooling)


def read_language_model(settings: EncoderSettings) -> LanguageModel:
    """The model that `settings.model` names, with its architecture's head; a missing head starts at random.

    Raises:
        InputError: it is not there, or it is no masked or causal language model that transformers knows.
    """
    folder = locate(settings.model)
    layout = read_layout(folder)
    try:
        config = AutoConfig.from_pretrained(layout.language_model, local_files_only=True)
        masked = config.model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES
        if not masked and config.model_type not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
            raise ValueError(f"{config.model_type} is neither")
        tokenizer = read_tokenizer(layout.language_model, lowercase=layout.lowercase)
        kind = AutoModelForMaskedLM if masked else AutoModelForCausalLM
        with quiet_transformers():
            model, loaded = kind.from_pretrained(  # type: ignore[misc]
                layout.language_model,
                local_files_only=True,
                use_safetensors=True,
                dtype=torch.float32,
                output_loading_info=True,
            )
        body = f"{model.base_model_prefix}."
        if missing := sorted(name for name in loaded["missing_keys"] if name.startswith(body)):
            raise ValueError(f"no weights for {len(missing)} parameters, such as {missing[0]}")
        if masked and tokenizer.mask_token_id is None:
            raise ValueError("its tokenizer has no mask token")
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise InputError(
            "a masked or causal language model that transformers can load without code of its own",
            f"{settings.model}: {str(error).splitlines()[0]}",
            "take another retriever.encoder.model, or set retriever.pretrain.from_scratch",
        ) from error
    objective: Objective = "masked" if masked else "causal"
    return LanguageModel(model, tokenizer, objective, layout.pooling or "mean", layout.lowercase)
