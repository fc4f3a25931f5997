"""A packed language model gives what the plain one does, and attention by tiles what its formula says."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import (
    BertConfig,
    BertModel,
    DistilBertConfig,
    DistilBertModel,
    GPT2Config,
    GPT2Model,
    ModernBertConfig,
    ModernBertModel,
    PreTrainedModel,
    RobertaConfig,
    RobertaModel,
)

from aisle.retriever.engine.packed import (
    TILED,
    PackedLinear,
    PackedOutput,
    can_pack,
    packed,
    tiled_attention,
)
from aisle.retriever.engine.readers import Reader

SIZES: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4}
LENGTHS = (1, 7, 16, 33, 48, 63, 64, 70, 96)

BF16 = nn.Linear(1, 1).to(torch.bfloat16)
needs_packing = pytest.mark.skipif(not can_pack(BF16), reason="torch cannot pack bf16 for this processor")


def bert(**own: Any) -> BertModel:
    return made(BertModel(BertConfig(vocab_size=50, intermediate_size=64, **SIZES | own)))


def made(model: Any) -> Any:
    """The model with biases, and weights large enough for attention to tell tokens apart."""
    torch.manual_seed(0)
    for name, weights in model.named_parameters():
        if weights.ndim == 2 or name.endswith("bias"):
            nn.init.normal_(weights, std=0.2)
    return model.eval().to(torch.bfloat16)


def others() -> dict[str, PreTrainedModel]:
    return {
        "roberta": made(RobertaModel(RobertaConfig(vocab_size=50, intermediate_size=64, **SIZES))),
        "distilbert": made(
            DistilBertModel(DistilBertConfig(vocab_size=50, dim=32, hidden_dim=64, n_heads=4, n_layers=2))
        ),
        "gpt2": made(GPT2Model(GPT2Config(vocab_size=50, n_embd=32, n_head=4, n_layer=2))),
        "modernbert": made(
            ModernBertModel(
                ModernBertConfig(
                    vocab_size=50,
                    intermediate_size=64,
                    local_attention=8,
                    pad_token_id=0,
                    bos_token_id=1,
                    eos_token_id=2,
                    cls_token_id=1,
                    sep_token_id=2,
                    **SIZES,
                )
            )
        ),
    }


def batch(length: int, padded: bool) -> dict[str, Tensor]:
    ids = torch.randint(3, 50, (3, length), generator=torch.Generator().manual_seed(length))
    if not padded:
        return {"input_ids": ids}
    real = torch.tensor([length, max(1, length // 2), max(1, length - 1)])
    return {"input_ids": ids, "attention_mask": (torch.arange(length) < real[:, None]).long()}


def far(model: nn.Module, other: nn.Module, tokens: dict[str, Tensor]) -> float:
    """Largest difference of the states of real tokens."""
    with torch.no_grad():
        left, right = (one(**tokens).last_hidden_state.float() for one in (model, other))
    real = tokens.get("attention_mask", torch.ones_like(tokens["input_ids"])).bool()
    return float((left - right)[real].abs().max())


@needs_packing
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("act", ["gelu", "gelu_new", "relu"])
def test_a_packed_bert_gives_what_the_plain_one_does(act: str, padded: bool) -> None:
    plain, quick = bert(hidden_act=act), packed(bert(hidden_act=act))
    for length in LENGTHS:
        assert far(plain, quick, batch(length, padded)) < 0.1


@needs_packing
def test_all_of_a_bert_is_packed() -> None:
    model = packed(bert())
    kinds = [type(module) for module in model.modules()]
    assert nn.Linear not in kinds
    assert kinds.count(PackedOutput) == 4 * 2
    assert kinds.count(PackedLinear) == 4 * 6 + 1
    assert sum(module.then == "gelu" for module in model.modules() if isinstance(module, PackedLinear)) == 4
    assert model.config._attn_implementation == TILED  # type: ignore[union-attr]


@needs_packing
@pytest.mark.parametrize("name", ["roberta", "distilbert", "gpt2", "modernbert"])
def test_other_models_give_what_they_gave(name: str) -> None:
    plain, quick = others()[name], packed(others()[name])
    for length in (7, 33, 70):
        assert far(plain, quick, batch(length, padded=False)) < 0.1
        assert far(plain, quick, batch(length, padded=True)) < 0.1


class Otherwise(nn.Module):
    """Parts named as BERT's, put together in another way."""

    def __init__(self) -> None:
        super().__init__()
        self.dense, self.LayerNorm, self.dropout = nn.Linear(8, 8), nn.LayerNorm(8), nn.Dropout()

    def forward(self, hidden_states: Tensor, input_tensor: Tensor) -> Tensor:
        return input_tensor + self.LayerNorm(self.dense(hidden_states))


@needs_packing
def test_what_only_looks_like_bert_keeps_its_form() -> None:
    plain, quick = (nn.Sequential(Otherwise()).to(torch.bfloat16).eval() for _ in range(2))
    quick.load_state_dict(plain.state_dict())
    inputs = torch.randn(2, 8).to(torch.bfloat16)
    assert type(packed(quick)[0]) is Otherwise  # type: ignore[index]
    torch.testing.assert_close(quick[0](inputs, inputs), plain[0](inputs, inputs), rtol=0.02, atol=0.02)


def test_float32_stays_as_it_is() -> None:
    model = bert().float()
    assert packed(model) is model
    assert sum(type(module) is nn.Linear for module in model.modules()) == 4 * 6 + 1


@needs_packing
def test_a_reader_leaves_the_model_alone() -> None:
    model = bert()
    Reader(model, "bf16")(batch(7, padded=True))
    assert sum(type(module) is nn.Linear for module in model.modules()) == 4 * 6 + 1
    assert model.config._attn_implementation == "sdpa"


@pytest.mark.parametrize("shape", ["none", "padding", "window", "blind"])
@pytest.mark.parametrize("tokens", LENGTHS)
def test_attention_by_tiles_is_attention(tokens: int, shape: str) -> None:
    generator = torch.Generator().manual_seed(tokens)
    query, key, value = torch.randn(3, 2, 4, tokens, 8, generator=generator).unbind()
    places = torch.arange(tokens)
    near = (places[:, None] - places).abs() <= 2
    masks = {
        "none": None,
        "padding": (places < torch.tensor([tokens, max(1, tokens - 5)])[:, None])[:, None, None].expand(
            2, 1, tokens, tokens
        ),
        "window": near.expand(2, 1, tokens, tokens),
        "blind": (near & (places < max(1, tokens - 3))).expand(2, 1, tokens, tokens),  # the last see nothing
    }
    mask = masks[shape]
    scores = 0.3 * query @ key.transpose(-1, -2)
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    wanted = (scores.softmax(-1) @ value).transpose(1, 2)
    found, _ = tiled_attention(nn.Module(), query, key, value, mask, scaling=0.3, is_causal=False)
    assert found.isfinite().all()
    torch.testing.assert_close(found, wanted.where(wanted.isfinite(), found), rtol=1e-4, atol=1e-5)


def test_causal_attention_is_left_to_transformers() -> None:
    query, key, value = torch.randn(3, 1, 2, 5, 8).unbind()
    found, _ = tiled_attention(nn.Module(), query, key, value, None, is_causal=True)
    torch.testing.assert_close(found[:, 0], value[:, :, 0])
