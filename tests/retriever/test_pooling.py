"""States of tokens to one vector, and causal models as encoders."""

import numpy as np
import pytest
import torch
from language_models import TEXTS, tiny_gpt2

from aisle.retriever.encoder import Encoder
from aisle.retriever.pooling import mean_pool, pool
from aisle.retriever.settings import EncoderSettings

STATES = torch.tensor([[[1.0, -5.0], [3.0, -7.0], [100.0, 100.0]]])
MASK = torch.tensor([[1, 1, 0]])


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("mean", [(1 + 3) / 2, (-5 - 7) / 2]),
        ("cls", [1.0, -5.0]),
        ("last_token", [3.0, -7.0]),
        ("max", [3.0, -5.0]),
    ],
)
def test_padding_is_left_out(how, expected):
    assert pool(STATES, MASK, how).tolist() == [expected]
    assert pool(STATES, torch.zeros_like(MASK), how).tolist() == [[0.0, 0.0]], "no token, no vector"
    assert torch.equal(mean_pool(STATES, MASK), pool(STATES, MASK, "mean"))


@pytest.mark.parametrize("how", ["mean", "cls", "last_token", "max"])
def test_gradients_reach_no_padding(how):
    states = STATES.clone().requires_grad_()
    pool(states, MASK, how).sum().backward()
    assert states.grad[0, 2].abs().sum() == 0
    assert states.grad[0, :2].abs().sum() > 0


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory):
    return str(tiny_gpt2(tmp_path_factory.mktemp("gpt2")))


@pytest.mark.parametrize("how", ["mean", "last_token", "max"])
def test_a_causal_model_sees_no_other_text_of_its_batch(gpt2, how):
    encoder = Encoder.load(EncoderSettings(model=gpt2, precision="fp32", max_tokens=48, pooling=how))
    alone = [encoder.encode([text])[0] for text in TEXTS]
    np.testing.assert_allclose(encoder.encode(TEXTS), alone, atol=1e-6)


def test_the_last_token_is_the_models_last_state(gpt2):
    encoder = Encoder.load(EncoderSettings(model=gpt2, precision="fp32", max_tokens=48, pooling="last_token"))
    for text, vector in zip(TEXTS, encoder.encode(TEXTS), strict=True):
        with torch.no_grad():
            state = encoder.model(**encoder.tokenizer(text, return_tensors="pt")).last_hidden_state[0, -1]
        np.testing.assert_allclose(vector, torch.nn.functional.normalize(state, dim=0), atol=1e-6)


def test_a_tokenizer_that_pads_on_the_left_is_turned(gpt2, tmp_path):
    encoder = Encoder.load(EncoderSettings(model=gpt2, precision="fp32", max_tokens=48, pooling="last_token"))
    expected = encoder.encode(TEXTS)
    encoder.tokenizer.padding_side = "left"
    encoder.save(tmp_path)
    turned = Encoder.load(EncoderSettings(model=str(tmp_path), precision="fp32", max_tokens=48))
    np.testing.assert_allclose(turned.encode(TEXTS), expected, atol=1e-6)


def test_an_empty_text_has_a_vector_without_special_tokens_too(gpt2):
    encoder = Encoder.load(EncoderSettings(model=gpt2, precision="fp32", max_tokens=48))
    assert encoder.special_tokens == 0
    np.testing.assert_allclose(np.linalg.norm(encoder.encode(["", "red"]), axis=1), 1, atol=1e-5)
