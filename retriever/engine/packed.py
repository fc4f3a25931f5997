"""A language model in bf16 on a CPU, made quicker: weights are laid out once, attention takes whole tiles.

torch lays a layer's weights out for the processor whenever it multiplies by them; here that is done when the
model is made. What follows a product number by number (GELU, adding what came in) is computed with it,
before its result leaves the cache. The operators are those that `torch.compile` calls; they need no compiler.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.activations import GELUActivation
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask
from transformers.models.bert.modeling_bert import BertIntermediate, BertOutput

ROWS = 2_048
"""Tokens of a batch that weights are laid out for; others are multiplied as well."""

TILE = 16
"""Tokens that torch's attention takes at once; other lengths than its multiples cost up to twice as much."""

SHORT = 64
"""Tokens below which products of whole batches are quicker than texts filled up to whole tiles."""

OPERATORS = ("_linear_pointwise", "_reorder_linear_weight", "_is_mkldnn_bf16_supported")
"""Of `torch.ops.mkldnn`: what is called here."""

TILED = "aisle_tiled"
"""Name of :func:`tiled_attention` among the attentions of transformers."""


def packed(model: nn.Module) -> nn.Module:
    """The model, changed in place to be read with and nothing else; the same where it cannot be packed.

    Linear layers are packed. In models built as BERT is, they also take what follows them. Attention is
    :func:`tiled_attention` where the model can be told.
    """
    if not can_pack(model):
        return model
    if isinstance(model, PreTrainedModel) and model.config._attn_implementation == "sdpa":
        model.set_attn_implementation(TILED)
    _pack(model)
    return model


def can_pack(model: nn.Module) -> bool:
    """Whether a model is in bf16 on a CPU that multiplies such, and torch has the operators."""
    weights, ops = next(model.parameters()), torch.ops.mkldnn
    return bool(
        weights.device.type == "cpu"
        and weights.dtype == torch.bfloat16
        and all(hasattr(ops, name) for name in OPERATORS)
        and ops._is_mkldnn_bf16_supported()
    )


def _pack(module: nn.Module) -> None:
    for name, child in module.named_children():
        quicker = _replacement(child)
        if quicker is None:
            _pack(child)
        else:
            setattr(module, name, quicker)


def _replacement(module: nn.Module) -> nn.Module | None:
    """What computes the same as a module, quicker; None: nothing that is known."""
    if type(module) is nn.Linear:
        return PackedLinear(module)
    dense: Any = getattr(module, "dense", None)
    if type(dense) is not nn.Linear:
        return None
    if _computes_as(module, BertIntermediate) and _is_gelu(module.intermediate_act_fn):
        return PackedLinear(dense, "gelu")
    if _computes_as(module, BertOutput) and type(module.LayerNorm) is nn.LayerNorm:
        return PackedOutput(PackedLinear(dense), module.LayerNorm)
    return None


def _computes_as(module: nn.Module, known: type[nn.Module]) -> bool:
    """Whether a module's `forward` is another's word for word, as transformers copies them between models."""
    mine, theirs = (getattr(kind.forward, "__code__", None) for kind in (type(module), known))
    if mine is None or theirs is None:
        return False
    return all(getattr(mine, part) == getattr(theirs, part) for part in ("co_code", "co_names", "co_consts"))


def _is_gelu(module: Any) -> bool:
    """Whether it is GELU itself and not an approximation of it."""
    own = type(module) is nn.GELU and module.approximate == "none"
    return own or (type(module) is GELUActivation and module.act is nn.functional.gelu)


class PackedLinear(nn.Module):
    """x W' + b, and perhaps GELU of it, with weights laid out for the processor.

    Args:
        layer: in bf16.
        then: what follows: "none" or "gelu".
    """

    def __init__(self, layer: nn.Linear, then: str = "none") -> None:
        super().__init__()
        self.then = then
        self.bias = layer.bias
        self.weight = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach().contiguous(), ROWS)

    def forward(self, inputs: Tensor) -> Tensor:
        """(..., inputs) to (..., outputs)."""
        how = None if self.then == "none" else "none"  # GELU by the error function
        found: Tensor = torch.ops.mkldnn._linear_pointwise(inputs, self.weight, self.bias, self.then, [], how)
        return found

    def plus(self, inputs: Tensor, other: Tensor) -> Tensor:
        """The product, and `other` (..., outputs) added to it."""
        found: Tensor = torch.ops.mkldnn._linear_pointwise.binary(
            inputs, other, self.weight, self.bias, "add"
        )
        return found


class PackedOutput(nn.Module):
    """The end of a block of BERT: a product, what came into the block added, normalised."""

    def __init__(self, dense: PackedLinear, norm: nn.LayerNorm) -> None:
        super().__init__()
        self.dense, self.norm = dense, norm

    def forward(self, hidden_states: Tensor, input_tensor: Tensor) -> Tensor:
        """States (batch, tokens, dim) after the block whose inputs were `input_tensor`."""
        found: Tensor = self.norm(self.dense.plus(hidden_states, input_tensor))
        return found


def tiled_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    **more: Any,
) -> tuple[Tensor, None]:
    """Attention as transformers asks for it: (batch, heads, tokens, dim) to (batch, tokens, heads, dim).

    Short texts are computed as products over the whole batch; longer ones are filled up to whole tiles. What
    is of another kind (causal models, dropout, a bias of positions) is left to transformers.
    """
    tokens = query.shape[2]
    plain = key.shape == query.shape == value.shape and not more.get("dropout")
    told = more.get("is_causal")
    causal = getattr(module, "is_causal", True) if told is None else told
    known = attention_mask is None or attention_mask.dtype == torch.bool
    unusual = any(more.get(name) is not None for name in ("position_bias", "softcap", "s_aux"))
    if not plain or not known or unusual or causal:
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **more)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    missing = -tokens % TILE
    if not missing and tokens > TILE:
        found = scaled_dot_product_attention(query, key, value, attention_mask, scale=scale)
    elif tokens < SHORT:
        found = _batched(query, key, value, attention_mask, scale)
    else:
        found = _filled(query, key, value, attention_mask, scale, missing)
    return found.transpose(1, 2).contiguous(), None


def _batched(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float) -> Tensor:
    texts, heads, tokens, dim = query.shape
    q, k, v = (part.reshape(texts * heads, tokens, dim) for part in (query, key, value))
    scores = torch.bmm(q, k.transpose(1, 2)).view(texts, heads, tokens, tokens).float().mul_(scale)
    if mask is not None:
        scores.masked_fill_(~mask, torch.finfo(scores.dtype).min)  # a token that sees nothing stays finite
    weights = scores.softmax(-1).to(value.dtype).view(texts * heads, tokens, tokens)
    return torch.bmm(weights, v).view(texts, heads, tokens, dim)


def _filled(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float, missing: int
) -> Tensor:
    tokens = query.shape[2]
    q, k, v = (pad(part, (0, 0, 0, missing)) for part in (query, key, value))
    real = torch.ones(1, 1, 1, tokens, dtype=torch.bool) if mask is None else mask
    rows = missing if real.shape[-2] > 1 else 0
    return scaled_dot_product_attention(q, k, v, pad(real, (0, missing, 0, rows)), scale=scale)[:, :, :tokens]


AttentionInterface.register(TILED, tiled_attention)
AttentionMaskInterface.register(TILED, sdpa_mask)
