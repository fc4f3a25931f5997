"""Smaller encoders come near their teacher, and are read by sentence-transformers."""

from pathlib import Path

import numpy as np
import pytest
import torch
from language_models import tiny_bert, tiny_gpt2
from torch import nn

from aisle.data.errors import InputError
from aisle.retriever.encoder import Encoder
from aisle.retriever.locate import locate, weights_sha256
from aisle.retriever.settings import EncoderSettings
from aisle.retriever.smaller.distill import distill, static, with_layers
from aisle.retriever.smaller.settings import DistillSettings

COLOURS = ["red", "blue", "golden", "green", "black", "white"]
THINGS = ["lipstick", "shampoo", "nail polish", "perfume", "soap", "brush", "cream"]
TEXTS = [f"{colour} {thing} {number}" for colour in COLOURS for thing in THINGS for number in range(3)]


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    folder = tiny_bert(tmp_path_factory.mktemp("model") / "bert", layers=4, texts=TEXTS)
    return Encoder.load(EncoderSettings(model=str(folder), max_tokens=16, precision="fp32"))


@pytest.fixture(scope="module", params=[0, 2])
def smaller(request: pytest.FixtureRequest, teacher: Encoder) -> tuple[Encoder, float, float]:
    settings = DistillSettings(layers=request.param, epochs=30, batch_size=32, rate=3e-3)
    found = distill(teacher, [*TEXTS, *TEXTS], settings, seed=0)
    assert found.texts == len(TEXTS) - len(TEXTS) // 10
    return found.encoder, found.before, found.after


def test_it_comes_nearer_to_its_teacher(smaller: tuple[Encoder, float, float], teacher: Encoder) -> None:
    encoder, before, after = smaller
    assert after > max(0.85, before + 0.1)
    assert not any(module.training for module in encoder.model.modules())
    size = sum(one.numel() for one in encoder.model.parameters())
    assert size < 0.7 * sum(one.numel() for one in teacher.model.parameters())


def test_a_folder_gives_the_same_vectors_here_and_there(
    smaller: tuple[Encoder, float, float], tmp_path: Path
) -> None:
    encoder, *_ = smaller
    encoder.save(tmp_path / "small")
    settings = EncoderSettings(model=str(tmp_path / "small"), max_tokens=16, precision="fp32")
    texts = [*TEXTS[:9], "a word that nobody knows", "RED soap"]
    expected = encoder.encode(texts)
    again = Encoder.load(settings)
    np.testing.assert_allclose(again.encode(texts), expected, atol=1e-6)
    assert again.fingerprint == weights_sha256(locate(str(tmp_path / "small")))
    assert np.linalg.norm(again.encode(["", "red"]), axis=1) == pytest.approx([1, 1])
    library = pytest.importorskip("sentence_transformers", reason="the reference library is not installed")
    theirs = library.SentenceTransformer(str(tmp_path / "small"), device="cpu")
    np.testing.assert_allclose(theirs.encode(texts), expected, atol=1e-5)


def test_a_static_text_is_the_mean_of_its_tokens(teacher: Encoder) -> None:
    encoder = static(teacher, TEXTS)
    ids = encoder.tokenizer("red soap")["input_ids"]
    assert ids == teacher.tokenizer("red soap", add_special_tokens=False)["input_ids"]
    mean = encoder.model.embedding.weight[ids].mean(0)
    expected = nn.functional.normalize(mean, dim=0).detach().numpy()
    np.testing.assert_allclose(encoder.encode(["red soap"])[0], expected, atol=1e-6)
    lengths = encoder.model.embedding.weight.norm(dim=1)
    often, seldom = (encoder.tokenizer.convert_tokens_to_ids(name) for name in ("red", "[MASK]"))
    assert lengths[often] < lengths[seldom]


def test_the_first_and_the_last_layer_stay(teacher: Encoder) -> None:
    found = with_layers(teacher, 2)
    assert found.model.config.num_hidden_layers == 2
    assert teacher.model.config.num_hidden_layers == len(teacher.model.encoder.layer) == 4
    for mine, its in zip(found.model.encoder.layer, (0, 3), strict=True):
        original = teacher.model.encoder.layer[its].attention.self.query.weight
        torch.testing.assert_close(mine.attention.self.query.weight, original)
    with pytest.raises(InputError, match="fewer than 4 layers"):
        with_layers(teacher, 4)


def test_causal_models_have_layers_too(tmp_path: Path) -> None:
    encoder = Encoder.load(
        EncoderSettings(model=str(tiny_gpt2(tmp_path / "gpt2")), max_tokens=16, precision="fp32")
    )
    found = with_layers(encoder, 1)
    assert found.encode(["red"]).shape == (1, 16)
    assert len(found.model.h) == 1


def test_too_few_texts(teacher: Encoder) -> None:
    with pytest.raises(InputError, match="20 different texts"):
        distill(teacher, ["red"] * 100, DistillSettings(), seed=0)
