"""A language model made ready to be read with: tokens to states, in the arithmetic that fits the machine."""

import logging
from collections.abc import Callable, Mapping
from copy import deepcopy
from importlib.metadata import version
from threading import Lock

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers.utils.import_utils import is_flash_attn_2_available

from aisle.data.errors import InputError
from aisle.retriever.arithmetic import in_bf16
from aisle.retriever.engine.openvino import check_installed, compiled
from aisle.retriever.engine.packed import can_pack, packed
from aisle.retriever.engine.speeds import speeds
from aisle.retriever.pooling import mean_pool
from aisle.retriever.settings import Arithmetic, Backend, EncoderSettings

LOG = logging.getLogger(__name__)

LEAST_COSINE = 0.999
"""Of vectors to those of float32, at the mean of a sample: what `precision = "auto"` keeps to."""

SCORES_COSINE = 0.9997
"""The same where scores are made of the vectors, whose order is what counts."""

WRONG = 0.95
"""Cosine below which int8 is not a loss that somebody asked for, but a mistake."""

SAMPLE_TEXTS, SAMPLE_TOKENS = 16, 512
"""Texts of the sample at most, and tokens."""

MARGIN = 1.1
"""How much faster than float32 an arithmetic must be to be worth its rounding."""

SETTLING = Lock()
"""One model at a time is measured, or traced for OpenVINO, which more threads at once would disturb."""

DTYPES: dict[str, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

Tokens = Mapping[str, Tensor]
States = Float[Tensor, "batch tokens dim"]
Read = Callable[[Tokens], States]


class Reader:
    """States of tokens by a language model, which is copied unless it is read as it is.

    With `precision = "auto"` the first batch settles the arithmetic: the fastest one of the machine whose
    vectors are within `least` of float32's.

    Args:
        model: transformers' model without a head, in float32 for `auto`.
        precision: arithmetic.
        backend: who computes.
        least: cosine to float32 that `auto` keeps to.

    Raises:
        InputError: the backend is not installed.
    """

    def __init__(
        self,
        model: nn.Module,
        precision: Arithmetic,
        backend: Backend = "torch",
        least: float = LEAST_COSINE,
    ) -> None:
        self.model = model
        self.least = least
        self.backend = backend
        self.precision = precision
        self._read: Read | None = None
        if backend == "openvino":
            check_installed()

    @classmethod
    def of(cls, model: nn.Module, settings: EncoderSettings, least: float = LEAST_COSINE) -> "Reader":
        """As the settings say, where the model is.

        Raises:
            InputError: fp16 on a CPU, where it is slow, or OpenVINO is not installed.
        """
        place = next(model.parameters()).device.type
        if place == "cpu" and settings.precision == "fp16":
            raise InputError(
                "a GPU for encoder.precision = 'fp16'", "none", "set encoder.precision to 'auto'"
            )
        if place == "cpu" or settings.backend == "torch":
            return cls(model, settings.precision, settings.backend, least)
        LOG.warning("there is a GPU: torch reads with it, instead of %s on the CPU", settings.backend)
        return cls(model, "auto" if settings.precision == "int8" else settings.precision, least=least)

    def settled(self) -> bool:
        """Whether a batch has been read, so that the next ones are read as it was."""
        return self._read is not None

    def __call__(self, tokens: Tokens) -> States:
        """States, float32, of a batch padded on the right; without attention_mask where none is padded."""
        if self._read is None:
            self._settle(sample_of(tokens))
        return self._read(tokens)  # type: ignore[misc]

    def _settle(self, sample: Tokens) -> None:
        with SETTLING, torch.no_grad():
            if self._read is not None:  # another thread was first
                return
            try:
                self._choose(sample)
            except RuntimeError as error:
                if self.backend != "openvino":
                    raise
                LOG.warning("OpenVINO: %s", str(error).strip().splitlines()[0])
                self._leave_to_torch()

    def _choose(self, sample: Tokens) -> None:
        if self.precision == "auto":
            names = self._candidates(sample)
            names += ["fp32"] if self.backend == "openvino" else []
        elif self.backend == "torch":
            self._read = self.made(self.precision, sample)
            return
        else:
            names = [self.precision]
        least = WRONG if self.precision == "int8" else self.least
        exact = TorchRead(self.model)
        for precision in names:
            read = self.made(precision, sample)
            cosine = agreement(exact(sample), read(sample), sample)
            if cosine >= least:
                LOG.info(
                    "the language model computes in %s (%s): cosine to float32 %.5f on %d texts",
                    *(precision, self.backend, cosine, len(sample["input_ids"])),
                )
                self._read, self.precision = read, precision
                return
            LOG.warning(
                "vectors in %s (%s) are at a cosine of only %.5f to float32's: something slower is taken",
                *(precision, self.backend, cosine),
            )
        self._leave_to_torch()

    def _leave_to_torch(self) -> None:
        """Compute in float32, and say so."""
        if self.backend == "openvino":
            LOG.warning("OpenVINO cannot read this model: torch computes in fp32")
        else:
            LOG.info("the language model computes in fp32 (torch)")
        self._read, self.precision, self.backend = TorchRead(self.model), "fp32", "torch"

    def made(self, precision: Arithmetic, sample: Tokens) -> Read:
        """The model in one arithmetic; `sample` tells int8 how large inputs get."""
        if self.backend == "openvino":
            half = {name: value[::2] for name, value in sample.items()}  # the other half is news to int8
            return compiled(self.model, precision, half)
        dtype = DTYPES[precision]
        same = all(
            weights.dtype == dtype for weights in self.model.parameters() if weights.is_floating_point()
        )
        if same and not can_pack(self.model):
            return TorchRead(without_padding(self.model))
        return TorchRead(packed(without_padding(deepcopy(self.model).to(dtype).eval())))

    def _candidates(self, sample: Tokens) -> list[Arithmetic]:
        """What is faster than float32, fastest first."""
        place = sample["input_ids"].device
        if place.type == "cuda":
            return ["bf16" if in_bf16("auto", place) else "fp16"]
        bf16: list[Arithmetic] = ["bf16"] if in_bf16("auto", place) else []
        names: list[Arithmetic] = [*bf16, "int8"] if self.backend == "openvino" else bf16
        if not names:
            return []
        rows = -(-SAMPLE_TOKENS // sample["input_ids"].numel())
        many = {name: value.repeat(rows, 1) for name, value in sample.items()}

        def work(name: str) -> Callable[[], object]:
            read = self.made(name, sample)  # type: ignore[arg-type]
            return lambda: read(many)

        found = speeds(self._about(), ("fp32", *names), work)
        fast = [name for name in names if MARGIN * found[name] < found["fp32"]]
        return sorted(fast, key=lambda name: found[name])

    def _about(self) -> dict[str, object]:
        """What the speed of this model on this machine depends on."""
        config = self.model.config
        sizes = {
            name: getattr(config, name, None) for name in ("hidden_size", "num_hidden_layers", "model_type")
        }
        capabilities = torch.cpu.get_capabilities()
        return {
            **sizes,
            "processor": capabilities.get("cpu_name"),
            "amx": bool(capabilities.get("amx_bf16")),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "backend": version("openvino") if self.backend == "openvino" else f"{self.backend}, packed",
        }


class TorchRead:
    """States by torch, as float32."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model

    def __call__(self, tokens: Tokens) -> States:
        """States (batch, tokens, dim)."""
        states: Tensor = self.model(**tokens).last_hidden_state
        return states.float()


def without_padding(model: nn.Module) -> nn.Module:
    """The model with attention over real tokens alone, in half precision on a GPU with flash-attn."""
    weights = next(model.parameters())
    half = weights.dtype in (torch.bfloat16, torch.float16)
    if half and weights.device.type == "cuda" and is_flash_attn_2_available():
        try:
            model.set_attn_implementation("flash_attention_2")  # type: ignore[operator]
        except (AttributeError, ImportError, ValueError) as error:
            LOG.info("attention with padding: %s", str(error).splitlines()[0])
    return model


def mask_of(tokens: Tokens) -> Tensor:
    """The attention mask of a batch, all ones where it is left out."""
    found = tokens.get("attention_mask")
    return torch.ones_like(tokens["input_ids"]) if found is None else found


def sample_of(tokens: Tokens) -> dict[str, Tensor]:
    """Some rows of a batch, `SAMPLE_TOKENS` in all, from its longest to its shortest text."""
    rows, width = tokens["input_ids"].shape
    count = min(rows, SAMPLE_TEXTS, max(1, SAMPLE_TOKENS // width))
    chosen = torch.linspace(0, rows - 1, count).round().long()
    return {name: value[chosen.to(value.device)] for name, value in tokens.items()}


def agreement(exact: States, rough: States, tokens: Tokens) -> float:
    """Mean cosine of the texts' mean states in two arithmetics; nan where one is not finite."""
    mask = mask_of(tokens)
    left, right = (mean_pool(states, mask) for states in (exact, rough))
    return float(nn.functional.cosine_similarity(left, right).mean())
