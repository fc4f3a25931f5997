"""What reads: texts have the vectors that they have alone, in the arithmetic that fits the machine."""

import json
import logging
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from language_models import tiny_bert, tiny_gpt2
from pydantic import ValidationError

from aisle.data.errors import InputError
from aisle.retriever.encoder import Encoder
from aisle.retriever.engine import readers
from aisle.retriever.engine.readers import Reader, TorchRead, sample_of
from aisle.retriever.engine.speeds import kept_at, speeds
from aisle.retriever.engine.threads import cores
from aisle.retriever.settings import EncoderSettings

CPU = torch.device("cpu")
STRANGE = [
    "",
    " \n\t ",
    "red lipstick " * 80_000,  # a megabyte
    "x" * 1_000_000,
    "💄💋🏽 👩‍👩‍👧",
    "أحمر شفاه",
    "שפתון אדום",
    "\u202emirror\u202c",
    "口红",
    "e\u0301\u0000\ufffd\ufeff",
    "red lipstick",
]


@pytest.fixture(scope="module", params=["bert", "gpt2"])
def encoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    make = {"bert": tiny_bert, "gpt2": tiny_gpt2}[request.param]
    folder = make(tmp_path_factory.mktemp("model") / request.param)
    return Encoder.load(EncoderSettings(model=str(folder), max_tokens=32, batch_tokens=64, precision="fp32"))


def test_strange_texts_have_the_vectors_that_they_have_alone(encoder: Encoder) -> None:
    together = encoder.encode(STRANGE)
    assert np.isfinite(together).all()
    alone = np.concatenate([encoder.encode([text]) for text in STRANGE])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    streamed = np.concatenate(list(encoder.stream(iter(STRANGE))))
    np.testing.assert_array_equal(streamed, together)


def test_tokens_of_pairs_and_windows_are_the_tokenizers(encoder: Encoder) -> None:
    found = encoder.pairs(["red lipstick", ""], ["a golden shampoo", ""])
    one = encoder.tokenizer("red lipstick", "a golden shampoo")
    assert found.ids[0] == one["input_ids"]
    assert found.types is None or found.types[0] == one["token_type_ids"]
    assert all(found.ids), "nothing is something too"
    assert all(len(window) <= 32 for window in encoder.windows(STRANGE, 4)[2])


def test_auto_takes_what_is_faster_and_says_so(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(readers, "in_bf16", lambda *_: True)
    monkeypatch.setattr(readers, "speeds", lambda about, ways, made: {"fp32": 1.0, "bf16": 0.5})
    tokens = {"input_ids": torch.tensor([[5, 6, 7]])}
    caplog.set_level(logging.INFO)
    reader = Reader(encoder.model, "auto")
    states = reader(tokens)
    assert (reader.precision, states.dtype) == ("bf16", torch.float32)
    assert "computes in bf16 (torch): cosine" in caplog.text
    exact = Reader(encoder.model, "fp32")(tokens)
    assert 0 < (states - exact).abs().max() < 0.1
    monkeypatch.setattr(readers, "speeds", lambda about, ways, made: {"fp32": 1.0, "bf16": 0.95})
    reader = Reader(encoder.model, "auto")
    assert (reader(tokens) - exact).abs().max() < 1e-6, "5% are not worth the rounding"
    assert reader.precision == "fp32"


def test_auto_takes_nothing_that_bends_the_vectors(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Bent(Reader):
        def made(self, precision, sample):
            exact = TorchRead(self.model)
            return exact if precision == "fp32" else lambda tokens: exact(tokens).flip(-1)

        def _candidates(self, sample):
            return ["bf16"]

    tokens = {"input_ids": torch.tensor([[5, 6, 7]])}
    assert Bent(encoder.model, "auto", least=-1.0)(tokens) is not None
    assert not caplog.text
    reader = Bent(encoder.model, "auto")
    found = reader(tokens)
    assert reader.precision == "fp32"
    assert "something slower is taken" in caplog.text
    assert (found - Reader(encoder.model, "fp32")(tokens)).abs().max() < 1e-6


def test_a_model_that_is_read_follows_its_training(encoder: Encoder) -> None:
    before = encoder.encode(["red lipstick"])
    weights = next(encoder.model.parameters())
    with torch.no_grad():
        weights.mul_(-1)
        changed = encoder.encode(["red lipstick"])
        weights.mul_(-1)
    assert np.abs(changed - before).max() > 1e-3
    np.testing.assert_array_equal(encoder.encode(["red lipstick"]), before)


def test_samples_run_from_the_longest_to_the_shortest() -> None:
    tokens = {"input_ids": torch.arange(64 * 20).reshape(64, 20)}
    rows = sample_of(tokens)["input_ids"][:, 0] // 20
    assert (len(rows), int(rows[0]), int(rows[-1])) == (16, 0, 63)
    assert len(sample_of({"input_ids": torch.ones(2, 5000)})["input_ids"]) == 1


def test_speeds_are_measured_once(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    calls: list[str] = []

    def made(name: str):
        return lambda: calls.append(name)

    first = speeds({"threads": 2}, ["a", "b"], made)
    assert list(first) == ["a", "b"]
    assert calls[:4] == ["a", "b", "a", "b"], "in turn"
    done = len(calls)
    assert speeds({"threads": 2}, ["a", "b"], made) == first
    assert len(calls) == done
    speeds({"threads": 4}, ["a", "b"], made)
    assert len(calls) == 2 * done
    assert len(json.loads(kept_at().read_text())) == 2
    kept_at().write_text("[no json")
    speeds({"threads": 2}, ["a", "b"], made)
    assert len(calls) == 3 * done


def test_cores_are_those_that_are_paid_for(tmp_path) -> None:
    allowed = cores(tmp_path)
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert cores(tmp_path) == allowed
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    assert cores(tmp_path) == 1
    (tmp_path / "cpu.max").unlink()
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("-1\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert cores(tmp_path) == allowed
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("100000\n")
    assert cores(tmp_path) == 1


@pytest.mark.parametrize("place", ["cuda", "cpu"])
def test_attention_without_padding_is_for_gpus(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stub:
        chosen = "sdpa"
        supported = True

        def parameters(self):
            return iter([SimpleNamespace(dtype=torch.bfloat16, device=SimpleNamespace(type=place))])

        def set_attn_implementation(self, name: str) -> None:
            if not self.supported:
                raise ValueError("this model does not support it")
            self.chosen = name

    without_padding = readers.without_padding.__wrapped__  # shapes and types of a stub are its own
    monkeypatch.setattr(readers, "is_flash_attn_2_available", lambda: False)
    assert without_padding(Stub()).chosen == "sdpa"
    monkeypatch.setattr(readers, "is_flash_attn_2_available", lambda: True)
    assert without_padding(Stub()).chosen == ("flash_attention_2" if place == "cuda" else "sdpa")
    monkeypatch.setattr(Stub, "supported", False)
    assert without_padding(Stub()).chosen == "sdpa"


def test_arithmetic_that_nobody_has(encoder: Encoder) -> None:
    with pytest.raises(ValidationError, match="only with backend = 'openvino'"):
        EncoderSettings(precision="int8")
    with pytest.raises(InputError, match="a GPU for"):
        Reader.of(encoder.model, EncoderSettings(precision="fp16"))
