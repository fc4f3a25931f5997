"""Encoders travel to sentence-transformers and back with their vectors."""

import json

import numpy as np
import pytest
import torch
from language_models import TEXTS, tiny_bert, tiny_gpt2

from aisle.data.errors import InputError
from aisle.retriever.encoder import Encoder
from aisle.retriever.interchange import FLAGS, read_layout
from aisle.retriever.locate import reading_fingerprint, weights_sha256
from aisle.retriever.settings import MINILM, EncoderSettings

SETTINGS = EncoderSettings(precision="fp32", max_tokens=24)
POOLINGS = ("mean", "cls", "last_token", "max")


@pytest.fixture(scope="module")
def library():
    return pytest.importorskip("sentence_transformers", reason="the reference library is not installed")


def load(folder, **changes) -> Encoder:
    return Encoder.load(SETTINGS.model_copy(update={"model": str(folder), **changes}))


@pytest.mark.parametrize("make", [tiny_bert, tiny_gpt2])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_what_is_saved_gives_the_library_the_same_vectors(tmp_path, library, make, pooling):
    ours = load(make(tmp_path / "plain"), pooling=pooling)
    ours.save(tmp_path / "saved")
    theirs = library.SentenceTransformer(str(tmp_path / "saved"), device="cpu")
    expected = ours.encode(TEXTS)
    assert theirs.get_max_seq_length() == SETTINGS.max_tokens
    np.testing.assert_allclose(theirs.encode(TEXTS), expected, atol=1e-5)
    np.testing.assert_allclose(load(tmp_path / "saved").encode(TEXTS), expected, atol=1e-6)
    assert load(tmp_path / "saved").pooling == pooling


@pytest.mark.parametrize("make", [tiny_bert, tiny_gpt2])
@pytest.mark.parametrize("pooling", ["mean", "cls", "lasttoken", "max", "mean_sqrt_len_tokens"])
def test_what_the_library_saves_is_read_with_the_same_vectors(tmp_path, library, make, pooling):
    transformer = library.models.Transformer(str(make(tmp_path / "plain")), max_seq_length=24)
    if transformer.tokenizer.pad_token is None:
        transformer.tokenizer.pad_token = transformer.tokenizer.eos_token
    dim = transformer.get_embedding_dimension()
    modules = [transformer, library.models.Pooling(dim, pooling_mode=pooling), library.models.Normalize()]
    theirs = library.SentenceTransformer(modules=modules, device="cpu")
    theirs.save(str(tmp_path / "saved"))
    np.testing.assert_allclose(load(tmp_path / "saved").encode(TEXTS), theirs.encode(TEXTS), atol=1e-5)


def test_minilm_comes_back_from_the_library_unchanged(tmp_path, library):
    ours = Encoder.load(EncoderSettings(precision="fp32"))
    ours.save(tmp_path)
    theirs = library.SentenceTransformer(str(tmp_path), device="cpu")
    np.testing.assert_allclose(theirs.encode(TEXTS), ours.encode(TEXTS), atol=1e-5)


@pytest.mark.parametrize(("flag", "mode"), FLAGS.items())
def test_both_spellings_of_a_pooling_are_read(tmp_path, library, flag, mode):
    load(tiny_bert(tmp_path / "plain")).save(tmp_path)
    config = tmp_path / "1_Pooling" / "config.json"
    found = []
    for spelling in ({flag: True}, {"pooling_mode": mode}, {"pooling_mode": [mode]}):
        config.write_text(json.dumps({"embedding_dimension": 16, **spelling}))
        try:
            found.append(read_layout(tmp_path).pooling)
        except InputError as error:
            found.append(error.found)
    if mode == "weightedmean":
        assert all("weightedmean" in one for one in found)
    else:
        assert found == [{"lasttoken": "last_token", "mean_sqrt_len_tokens": "mean"}.get(mode, mode)] * 3


def test_a_plain_folder_has_the_pooling_of_the_settings_or_the_mean(tmp_path):
    folder = tiny_bert(tmp_path)
    assert load(folder).pooling == "mean"
    assert load(folder, pooling="cls").pooling == "cls"


def test_lower_case_is_read_and_survives_saving(tmp_path):
    encoder = load(tiny_bert(tmp_path / "plain", lowercase=False))
    encoder.save(tmp_path / "cased")
    reading = tmp_path / "cased" / "sentence_bert_config.json"
    reading.write_text(json.dumps({"max_seq_length": 24, "do_lower_case": True}))
    load(tmp_path / "cased").save(tmp_path / "saved")
    for folder in (tmp_path / "cased", tmp_path / "saved"):
        vectors = load(folder).encode(["RED Lipstick", "red lipstick"])
        np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-6)
    assert np.abs(np.diff(encoder.encode(["RED Lipstick", "red lipstick"]), axis=0)).max() > 1e-3


def test_a_model_in_a_folder_of_its_own(tmp_path):
    encoder = load(tiny_bert(tmp_path / "plain"), pooling="cls")
    encoder.save(tmp_path / "new")
    old = tmp_path / "old"
    (tmp_path / "new").rename(old)
    (old / "0_BERT").mkdir()
    for path in [*old.glob("*.json"), *old.glob("*.safetensors")]:
        if path.name != "modules.json":
            path.rename(old / "0_BERT" / path.name)
    modules = json.loads((old / "modules.json").read_text())
    modules[0]["path"] = "0_BERT"
    (old / "modules.json").write_text(json.dumps(modules))
    np.testing.assert_allclose(load(old).encode(TEXTS), encoder.encode(TEXTS), atol=1e-6)


@pytest.mark.parametrize(
    ("file", "content", "found"),
    [
        ("modules.json", [{"type": "sentence_transformers.models.Dense", "path": "2_Dense"}], "Dense"),
        ("modules.json", [], "no modules"),
        ("1_Pooling/config.json", {"pooling_mode": ["mean", "max"]}, "mean"),
        (
            "config_sentence_transformers.json",
            {"default_prompt_name": "q", "prompts": {"q": "Q: "}},
            "prompt",
        ),
    ],
)
def test_what_would_give_other_vectors_is_refused(tmp_path, file, content, found):
    load(tiny_bert(tmp_path / "plain")).save(tmp_path)
    (tmp_path / file).write_text(json.dumps(content))
    with pytest.raises(InputError, match="made of Transformer, Pooling, Normalize") as raised:
        load(tmp_path)
    assert found in raised.value.found


def test_a_folder_with_broken_json(tmp_path):
    load(tiny_bert(tmp_path / "plain")).save(tmp_path)
    (tmp_path / "modules.json").write_text("[{")
    with pytest.raises(InputError, match=r"modules\.json"):
        load(tmp_path)


def test_the_fingerprint_covers_the_pooling(tmp_path):
    encoder = load(tiny_bert(tmp_path / "plain"))
    encoder.save(tmp_path)
    before = weights_sha256(tmp_path)
    encoder.pooling = "cls"
    encoder.save(tmp_path)
    assert weights_sha256(tmp_path) != before


@pytest.mark.parametrize(
    ("change", "same"), [({"layer_norm_eps": 0.5}, False), ({"transformers_version": "0"}, True)]
)
def test_vectors_are_kept_for_one_configuration(tmp_path, change, same):
    """Equal weights are not enough: what config.json says changes vectors, too."""
    settings = SETTINGS.model_copy(update={"model": str(tiny_bert(tmp_path))})
    before, vectors = reading_fingerprint(settings), Encoder.load(settings).encode(["red lipstick"])
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    assert np.allclose(Encoder.load(settings).encode(["red lipstick"]), vectors, atol=1e-4) == same
    assert (reading_fingerprint(settings) == before) == same


def test_weights_loaded_in_bf16_are_saved_as_float32(tmp_path):
    rough = load(tiny_bert(tmp_path / "plain"), precision="bf16")
    rough.save(tmp_path / "saved")
    weights = load(tmp_path / "saved").model.state_dict()
    assert {value.dtype for value in weights.values() if value.is_floating_point()} == {torch.float32}
    assert json.loads((tmp_path / "saved" / "config.json").read_text())["dtype"] == "float32"


def test_minilm_is_no_plain_folder():
    assert read_layout(Encoder.load(EncoderSettings(model=MINILM)).folder).pooling == "mean"
