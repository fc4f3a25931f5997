"""OpenVINO gives what torch gives; in bytes, nearly."""

import logging
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from language_models import TEXTS, tiny_bert, tiny_gpt2
from torch import nn

from aisle.data.errors import InputError
from aisle.retriever.encoder import Encoder
from aisle.retriever.engine import openvino, readers
from aisle.retriever.engine.openvino import Smoothed, smoothed
from aisle.retriever.settings import EncoderSettings

MANY = [*TEXTS, "", "blue " * 40, "a golden lipstick for red nails"]


def loaded(folder, **own) -> Encoder:
    settings = {"model": str(folder), "max_tokens": 32, "batch_tokens": 64, "precision": "fp32"}
    return Encoder.load(EncoderSettings(**{**settings, **own}))


def test_vectors_are_torchs(tmp_path, caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("openvino", reason="an optional dependency")
    folder = tiny_bert(tmp_path / "model")
    exact = loaded(folder).encode(MANY)
    caplog.set_level(logging.INFO)
    found = loaded(folder, backend="openvino").encode(MANY)
    np.testing.assert_allclose(found, exact, atol=1e-4)
    assert "computes in fp32 (openvino)" in caplog.text
    together = loaded(folder, backend="openvino")
    with ThreadPoolExecutor(4) as threads:
        for answer in threads.map(together.encode, [MANY] * 8):
            np.testing.assert_allclose(answer, exact, atol=1e-4)
    rough = loaded(folder, backend="openvino", precision="int8").encode(MANY)
    assert 0.98 < (rough * exact).sum(1).mean() < 0.999999, "in bytes, and close"


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_causal_model_is_left_to_torch(precision: str, tmp_path, caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("openvino", reason="an optional dependency")
    folder = tiny_gpt2(tmp_path / "model")  # its mask depends on the lengths in a way that tracing loses
    found = loaded(folder, backend="openvino", precision=precision).encode(MANY)
    assert "torch computes in fp32" in caplog.text
    np.testing.assert_allclose(found, loaded(folder).encode(MANY), atol=1e-6)


def test_a_model_that_is_read_wrongly_is_left_to_torch(
    tmp_path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tiny_bert(tmp_path / "model")
    monkeypatch.setattr(readers, "check_installed", lambda: None)
    monkeypatch.setattr(
        readers, "compiled", lambda model, *_: lambda tokens: readers.TorchRead(model)(tokens).flip(-1)
    )
    found = loaded(folder, backend="openvino").encode(MANY)
    assert "torch computes in fp32" in caplog.text
    np.testing.assert_allclose(found, loaded(folder).encode(MANY), atol=1e-6)


def test_a_model_that_cannot_be_converted(
    tmp_path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no such operation\nin line 1")

    folder = tiny_bert(tmp_path / "model")
    monkeypatch.setattr(readers, "check_installed", lambda: None)
    monkeypatch.setattr(readers, "compiled", fail)
    found = loaded(folder, backend="openvino").encode(MANY)
    assert "OpenVINO: no such operation" in caplog.text
    assert "torch computes in fp32" in caplog.text
    np.testing.assert_allclose(found, loaded(folder).encode(MANY), atol=1e-6)


def test_smoothing_changes_nothing_but_the_sizes(tmp_path) -> None:
    encoder = loaded(tiny_bert(tmp_path / "model", layers=2))
    sample = {"input_ids": torch.arange(5, 37).reshape(4, 8)}
    with torch.no_grad():
        weights = dict(encoder.model.named_parameters())["encoder.layer.0.attention.self.query.weight"]
        weights[:, 3] *= 50
    smooth = smoothed(encoder.model, sample)
    layers = [layer for layer in smooth.modules() if isinstance(layer, Smoothed)]
    assert len(layers) == 2 * 6 + 1  # of two blocks, and the pooler
    assert not any(type(layer) is nn.Linear for layer in smooth.modules())
    with torch.no_grad():
        exact, found = (model(**sample).last_hidden_state for model in (encoder.model, smooth))
    torch.testing.assert_close(found, exact, atol=1e-4, rtol=1e-4)


def test_factors_share_the_size_between_inputs_and_weights() -> None:
    layer = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[4.0, 1.0]]))
    found = Smoothed(layer, torch.tensor([1.0, 100.0]))
    assert found.weight.tolist() == [[4 * (1 / 4) ** 0.5, (100 / 1) ** 0.5]]
    assert found.inverse.tolist() == pytest.approx([2, 0.1])


def test_without_openvino(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino, "find_spec", lambda name: None)
    encoder = loaded(tiny_bert(tmp_path / "model"), backend="openvino")
    with pytest.raises(InputError, match=r"aisle\[openvino\]"):
        encoder.encode(["red"])
    assert "openvino" not in sys.modules or openvino.find_spec("openvino") is None
