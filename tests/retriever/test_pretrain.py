"""Pre-training learns a planted language, goes on after a kill, and reads nothing of the test part."""

import json
import math

import numpy as np
import polars as pl
import pytest
import torch
from language_models import tiny_bert, tiny_gpt2
from worlds import write_prepared

from aisle.data.errors import InputError
from aisle.data.settings import TextSettings
from aisle.retriever import pretrain as module
from aisle.retriever.corpus import held_out, shop_texts, table_texts
from aisle.retriever.encoder import Encoder
from aisle.retriever.language_model import new_model, read_language_model
from aisle.retriever.masking import IGNORED, Examples, chunks
from aisle.retriever.perplexity import Perplexity
from aisle.retriever.pretrain import pretrain
from aisle.retriever.settings import EncoderSettings, PretrainSettings

COLOURS = ("red", "blue", "green", "white", "black", "golden", "silver", "pink")
THINGS = ("rose", "sea", "grass", "snow", "coal", "sun", "moon", "cherry")
PAIRS = [
    f"{colour} {thing} {number}"
    for colour, thing in zip(COLOURS, THINGS, strict=True)
    for number in range(40)
]
"""A language in which the colour tells the thing, and nothing tells the number."""

ENCODER = EncoderSettings(max_tokens=16, precision="fp32")
SMALL = PretrainSettings(
    from_scratch=True, vocabulary_size=400, layers=2, hidden=64, steps=240, round_steps=60, warmup_steps=10,
    batch_size=32, learning_rate=3e-3, mask_share=0.3, precision="fp32",
)  # fmt: skip


def curve(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / "curve.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module", params=["masked", "causal"])
def learned(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    model = pretrain(PAIRS, ENCODER, SMALL.model_copy(update={"objective": request.param}), folder, seed=1)
    model.model.eval()
    return folder, model


@pytest.fixture(scope="module")
def trained(learned):
    return learned[0]


def test_the_planted_language_is_learned(learned):
    """The thing is predicted from the colour; by chance, one of eight would be right."""
    folder, model = learned
    tokenizer, right = model.tokenizer, 0
    for colour, thing in zip(COLOURS, THINGS, strict=True):
        ids = tokenizer(f"{colour} {thing} 7")["input_ids"]
        place = len(tokenizer(colour)["input_ids"]) - 1
        after = len(tokenizer(f"{colour} {thing}")["input_ids"]) - 1
        if model.objective == "masked":
            shown = [*ids[:place], *[tokenizer.mask_token_id] * (after - place), *ids[after:]]
        else:
            shown = ids[:place]
        with torch.no_grad():
            logits = model.model(torch.tensor([shown])).logits[0]
        right += int(logits[place if model.objective == "masked" else -1].argmax()) == ids[place]
    assert right >= 6
    best = min(row["perplexity"] for row in curve(folder))
    ideal = (1 * 1 * 40) ** (1 / 3) if model.objective == "masked" else (8 * 1 * 40 * 1) ** (1 / 4)
    assert 0.8 * ideal < best < 1.4 * ideal, "a word that nothing tells is one of 8 colours or 40 numbers"
    assert all(math.isfinite(row["loss"]) for row in curve(folder))


def test_the_model_is_an_encoder_that_the_library_reads(trained):
    library = pytest.importorskip("sentence_transformers", reason="the reference library is not installed")
    ours = Encoder.load(ENCODER.model_copy(update={"model": str(trained / "model")}))
    theirs = library.SentenceTransformer(str(trained / "model"), device="cpu")
    np.testing.assert_allclose(theirs.encode(PAIRS[:9]), ours.encode(PAIRS[:9]), atol=1e-5)


def test_a_killed_run_ends_with_the_same_weights(trained, tmp_path, monkeypatch):
    settings = SMALL.model_copy(update={"objective": trained.name.rstrip("0123456789")})

    measured = module.Perplexity.__call__
    calls = []

    def killed(self, model):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return measured(self, model)

    monkeypatch.setattr(module.Perplexity, "__call__", killed)
    with pytest.raises(KeyboardInterrupt):
        pretrain(PAIRS, ENCODER, settings, tmp_path, seed=1)
    pretrain(PAIRS, ENCODER, settings, tmp_path, seed=1)
    assert curve(tmp_path) == curve(trained)
    ours, whole = (
        Encoder.load(ENCODER.model_copy(update={"model": str(folder / "model")})).encode(PAIRS[:5])
        for folder in (tmp_path, trained)
    )
    np.testing.assert_array_equal(ours, whole)


@pytest.mark.parametrize(("make", "pooling"), [(tiny_bert, "cls"), (tiny_gpt2, "last_token")])
def test_a_checkpoint_is_trained_further_and_keeps_its_pooling(tmp_path, make, pooling):
    plain = Encoder.load(
        ENCODER.model_copy(update={"model": str(make(tmp_path / "plain")), "pooling": pooling})
    )
    plain.save(tmp_path / "start")
    start = ENCODER.model_copy(update={"model": str(tmp_path / "start")})
    settings = SMALL.model_copy(update={"from_scratch": False, "steps": 20, "round_steps": 10})
    (tmp_path / "out").mkdir()
    pretrain(PAIRS, start, settings, tmp_path / "out", seed=1)
    after = Encoder.load(start.model_copy(update={"model": str(tmp_path / "out" / "model")}))
    assert after.pooling == pooling
    assert after.tokenizer.get_vocab() == plain.tokenizer.get_vocab()
    assert np.abs(after.encode(["red rose"]) - plain.encode(["red rose"])).max() > 1e-3
    assert len(curve(tmp_path / "out")) == 2


def test_training_stops_when_held_out_texts_get_no_better(tmp_path):
    noise = np.random.default_rng(0).integers(0, 9, (60, 6))
    texts = [" ".join(map(str, row)) for row in noise]
    settings = SMALL.model_copy(
        update={"steps": 400, "round_steps": 15, "patience": 2, "learning_rate": 1e-2}
    )
    pretrain(texts, ENCODER, settings, tmp_path, seed=1)
    rounds = [row["perplexity"] for row in curve(tmp_path)]
    assert len(rounds) < 400 // 15
    assert len(rounds) - 1 - int(np.argmin(rounds)) == 2, "two rounds without a better one"


def test_perplexity_of_a_causal_model_is_that_of_its_own_loss():
    model = new_model(PAIRS, SMALL.model_copy(update={"objective": "causal"}), "mean")
    examples = Examples(chunks(model.tokenizer, PAIRS[:7], 16, "causal"), model.padding)
    model.model.eval()
    losses = []
    for chunk in examples.chunks:
        ids = torch.from_numpy(chunk.ids).long()[None]
        losses += [float(model.model(input_ids=ids, labels=ids).loss.detach())] * (ids.shape[1] - 1)
    found = Perplexity(examples, None, batch_size=3, seed=0)(model.model)
    assert found == pytest.approx(math.exp(np.mean(losses)), rel=1e-5)


def test_perplexity_of_a_uniform_model_is_the_size_of_its_vocabulary():
    model = new_model(PAIRS, SMALL, "mean")
    for weights in model.model.parameters():
        torch.nn.init.zeros_(weights)
    examples = Examples(chunks(model.tokenizer, PAIRS, 16, "masked"), model.padding)
    perplexity = Perplexity(examples, model.masking(SMALL), batch_size=8, seed=0)
    assert perplexity(model.model) == pytest.approx(len(model.tokenizer), rel=1e-4)
    again = Perplexity(examples, model.masking(SMALL), batch_size=8, seed=0)
    for one, other in zip(perplexity.batches, again.batches, strict=True):
        assert torch.equal(one["labels"], other["labels"]), "always the same words"
    assert any((batch["labels"] != IGNORED).any() for batch in again.batches)


def test_a_shop_is_read_without_validation_and_test(tmp_path):
    parts = {
        part: [{"user_id": "u", "item_id": "a", "kind": "review", "position": at, "text": f"said in {part}"}]
        for at, part in enumerate(("train", "validation", "test"))
    }
    prepared = write_prepared(tmp_path / "shop", [{"item_id": "a", "title": "red pen"}], parts)
    texts = shop_texts(prepared, TextSettings())
    assert texts[:2] == ["red pen", "said in train"]
    assert any("red pen" in text for text in texts[2:]), "the history"
    assert not any(part in text for text in texts for part in ("validation", "test"))


def test_texts_are_held_out_once(tmp_path):
    learned, held = held_out(PAIRS, 0.1, 1000, seed=3)
    assert sorted([*learned, *held]) == sorted(PAIRS)
    assert len(held) == len(PAIRS) // 10
    assert len(held_out(PAIRS, 0.5, 7, seed=3)[1]) == 7
    with pytest.raises(InputError, match="two different texts"):
        held_out(["one"], 0.1, 10, seed=0)


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.parquet", "t.jsonl", "t.csv.gz"])
def test_tables_of_texts(tmp_path, name):
    import gzip

    frame = pl.DataFrame({"id": [1, 2, 3, 4], "review": ["很好", "不好, 慢", " 很好", None]})
    path = tmp_path / name
    if name.endswith("parquet"):
        frame.write_parquet(path)
    elif name.endswith("jsonl"):
        frame.write_ndjson(path)
    else:
        text = frame.write_csv(separator="\t" if ".tsv" in name else ",").encode()
        path.write_bytes(gzip.compress(text) if name.endswith("gz") else text)
    assert table_texts(path, "review") == ["很好", "不好, 慢"]
    with pytest.raises(InputError, match="column"):
        table_texts(path, "words")


@pytest.mark.parametrize(("name", "said"), [("t.xlsx", "convert it"), ("t.parquet", "can be read")])
def test_what_is_no_table(tmp_path, name, said):
    (tmp_path / name).write_bytes(b"junk")
    with pytest.raises(InputError, match=said):
        table_texts(tmp_path / name, "review")
    with pytest.raises(InputError, match="no such file"):
        table_texts(tmp_path / "none.csv", "review")


def test_a_model_without_the_language_is_warned_of(tmp_path, caplog):
    model = read_language_model(ENCODER.model_copy(update={"model": str(tiny_bert(tmp_path))}))
    model.warn_of_unknown(["red lipstick"], "it")
    assert not caplog.records
    model.warn_of_unknown(["质量很好"], "it")
    assert "from_scratch" in caplog.text
