"""A language model through OpenVINO, which fuses what torch computes step by step.

int8 is both sides of each product in a byte: weights with a scale for each output, inputs with one for each
token and 128 numbers. Where few numbers of an input are much larger than the others, the others would lose
their digits; they are brought closer first, and the weights take the difference (SmoothQuant, Xiao et al.
2023, section 4, alpha = 0.5).
"""

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from importlib.util import find_spec
from inspect import signature
from threading import Lock
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from aisle.data.errors import InputError
from aisle.retriever.engine.threads import cores, in_lane
from aisle.retriever.settings import Arithmetic

LOG = logging.getLogger(__name__)

GROUP = 128
"""Inputs of a product that share a scale."""

INPUTS = ("input_ids", "attention_mask", "token_type_ids")

HINTS = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}
"""How OpenVINO names the arithmetic of what is not quantised."""


def check_installed() -> None:
    """Refuse to go on without OpenVINO.

    Raises:
        InputError: it is not installed.
    """
    if find_spec("openvino") is None:
        raise InputError(
            "OpenVINO, for encoder.backend = 'openvino'",
            "it is not installed",
            "pip install 'aisle[openvino]'",
        )


def compiled(
    model: nn.Module, precision: Arithmetic, sample: Mapping[str, Tensor]
) -> Callable[[Mapping[str, Tensor]], Tensor]:
    """A transformers model as a function from tokens to states (batch, tokens, dim), float32.

    Args:
        model: without a head; only read.
        precision: fp32, bf16 or int8.
        sample: a batch of what will be read; int8 learns from it how large inputs get.
    """
    import openvino

    whole = all(weights.dtype == torch.float32 for weights in model.parameters())
    copy = model if whole else deepcopy(model).float()
    prepared = smoothed(copy, sample) if precision == "int8" else copy
    body = _Body(prepared.eval())
    example = {name: torch.ones(2, 9, dtype=torch.long) for name in body.names}
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph = openvino.convert_model(body, example_input=example)
    if precision == "int8":
        quantise(graph)
    requests = _Requests(graph, precision)

    def read(tokens: Mapping[str, Tensor]) -> Tensor:
        full = {"attention_mask": torch.ones_like, "token_type_ids": torch.zeros_like}
        given = [tokens[name] if name in tokens else full[name](tokens["input_ids"]) for name in body.names]
        with requests.one() as request:
            (states,) = request.infer([value.cpu().numpy() for value in given]).values()
            copied = np.array(states, np.float32)
        return torch.from_numpy(copied).to(tokens["input_ids"].device)

    return read


class _Requests:
    """A graph compiled for threads that have all cores to themselves, and for those that share them.

    A request serves one thread at a time. As many run at once as threads of the caller's share fit the cores.
    """

    def __init__(self, graph: Any, precision: Arithmetic) -> None:
        self._graph, self._precision = graph, precision
        self._compiled: dict[int, Any] = {}
        self._free: dict[int, list[Any]] = {}
        self._compiling = Lock()

    @contextmanager
    def one(self) -> Iterator[Any]:
        """A request for the thread that calls, with as many cores as torch has there."""
        threads = torch.get_num_threads()
        with self._compiling:
            if threads not in self._compiled:
                self._compiled[threads] = self._compile(threads)
                self._free[threads] = []
            free = self._free[threads]
            request = free.pop() if free else self._compiled[threads].create_infer_request()
        try:
            yield request
        finally:
            free.append(request)

    def _compile(self, threads: int) -> Any:
        import openvino

        streams = max(1, cores() // threads) if in_lane() else 1
        options = {
            "INFERENCE_PRECISION_HINT": HINTS[self._precision],
            "INFERENCE_NUM_THREADS": threads * streams,
            "NUM_STREAMS": streams,
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": GROUP if self._precision == "int8" else 0,
        }
        return openvino.Core().compile_model(self._graph, "CPU", options)


class _Body(nn.Module):
    """Tokens by position, as tracing wants them, to states."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        known = signature(model.forward).parameters
        self.names = tuple(name for name in INPUTS if name in known)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> Tensor:
        """States of the last layer."""
        types = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        found: Tensor = self.model(
            input_ids=input_ids, attention_mask=attention_mask, **types
        ).last_hidden_state
        return found


class Smoothed(nn.Module):
    """A linear layer that divides its inputs by factors and multiplies its weights by them.

    The factors are sqrt(largest input / largest weight) of each input (SmoothQuant, equation 4).
    """

    def __init__(self, layer: nn.Linear, largest: Float[Tensor, " inputs"]) -> None:
        super().__init__()
        weights = layer.weight.detach()
        factors = (largest.clamp(min=1e-4) / weights.abs().amax(0).clamp(min=1e-4)).sqrt()
        self.inverse = nn.Parameter(1 / factors, requires_grad=False)
        self.weight = nn.Parameter(weights * factors, requires_grad=False)
        self.bias = layer.bias

    def forward(self, inputs: Tensor) -> Tensor:
        """What the layer gives."""
        return nn.functional.linear(inputs * self.inverse, self.weight, self.bias)


def smoothed(model: nn.Module, sample: Mapping[str, Tensor]) -> nn.Module:
    """A copy of a model whose linear layers are `Smoothed` by what they are given in a sample."""
    copy = deepcopy(model).eval()
    largest: dict[str, Tensor] = {}
    hooks = []
    for name, layer in copy.named_modules():
        if isinstance(layer, nn.Linear):

            def look(_: nn.Module, given: tuple[Any, ...], name: str = name) -> None:
                largest[name] = given[0].detach().flatten(0, -2).abs().amax(0)

            hooks.append(layer.register_forward_pre_hook(look))
    with torch.no_grad():
        copy(**sample)
    for hook in hooks:
        hook.remove()
    for name, most in largest.items():
        layer = copy.get_submodule(name)
        parent, _, own = name.rpartition(".")
        setattr(copy.get_submodule(parent), own, Smoothed(layer, most.clone()))  # type: ignore[arg-type]
    return copy


def quantise(graph: Any) -> int:
    """Weights of a graph's products as bytes with a scale for each output; how many products."""
    from openvino import opset13 as ops

    count = 0
    for product in graph.get_ordered_ops():
        if product.get_type_name() != "MatMul":
            continue
        node = product.input_value(1).get_node()
        if node.get_type_name() != "Constant" or node.data.ndim != 2:
            continue
        weights = node.data.astype(np.float32)
        outputs_first = product.get_attributes()["transpose_b"]
        scale = np.abs(weights).max(1 if outputs_first else 0, keepdims=True) / 127
        whole = np.round(weights / np.maximum(scale, 1e-12)).astype(np.int8)
        decoded = ops.multiply(ops.convert(ops.constant(whole), "f32"), ops.constant(scale))
        product.input(1).replace_source_output(decoded.output(0))
        count += 1
    return count
