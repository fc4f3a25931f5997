"""A language model and its tokenizer from a folder, as they are read here."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from tokenizers import normalizers
from transformers import AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from aisle.index.recipes import machine_memory
from aisle.retriever.arithmetic import in_bf16
from aisle.retriever.engine.readers import DTYPES
from aisle.retriever.settings import EncoderSettings

LOG = logging.getLogger(__name__)

LARGE = 0.1
"""Share of the memory that weights may take for `precision = "auto"` to compare two copies of them."""


def loaded_in(settings: EncoderSettings, folder: Path, device: torch.device) -> torch.dtype:
    """What weights are loaded in: float32 where they are trained, or where `auto` has to compare with it."""
    if settings.backend == "openvino" and device.type == "cpu":
        return torch.float32
    if settings.precision != "auto":
        return DTYPES.get(settings.precision, torch.float32)
    weights = sum(path.stat().st_size for path in folder.glob("model*.safetensors"))
    memory = machine_memory()
    if device.type == "cuda":
        memory = torch.cuda.get_device_properties(device).total_memory
    if weights < LARGE * memory or not in_bf16("auto", device):
        return torch.float32
    LOG.warning(
        "%s has %.1f GiB of weights: it is read in bf16, without a look at what float32 says",
        *(settings.model, weights / 2**30),
    )
    return torch.bfloat16


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
    level = transformers_logging.get_verbosity()
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
