"""Texts that say nothing to the language model are refused or warned of."""

import logging
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from aisle.data.errors import InputError
from aisle.retriever.encoder import Encoder
from aisle.retriever.settings import EncoderSettings
from aisle.retriever.suspicion import check_texts

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "red", "green", "lipstick", "shampoo"]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    """An encoder whose tokenizer knows four words; texts of at most eight tokens, special ones included."""
    folder = tmp_path_factory.mktemp("encoder")
    words = Tokenizer(WordLevel({word: row for row, word in enumerate(WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = Whitespace()
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=words, **special).save_pretrained(folder)
    BertModel(
        BertConfig(
            vocab_size=len(WORDS),
            hidden_size=8,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=8,
            max_position_embeddings=16,
        )
    ).save_pretrained(folder)
    return Encoder.load(EncoderSettings(model=str(folder), max_tokens=8))


def warnings(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING)


def test_readable_texts_pass_in_silence(encoder: Encoder, caplog: pytest.LogCaptureFixture) -> None:
    check_texts(["red lipstick", "green lipstick", "", "red shampoo"], encoder, alone=True)
    assert warnings(caplog) == ""


def test_texts_in_an_unknown_language(encoder: Encoder, caplog: pytest.LogCaptureFixture) -> None:
    texts = ["口红 色", "洗发 水", "red"]  # four of five tokens are unknown
    with pytest.raises(InputError, match=r"80% of the tokens of the items' texts are \[UNK\]"):
        check_texts(texts, encoder, alone=True)
    check_texts(texts, encoder, alone=False)
    assert "80% of the tokens" in warnings(caplog)
    assert "--encoder" in warnings(caplog)


def test_some_unknown_words_are_warned_of(encoder: Encoder, caplog: pytest.LogCaptureFixture) -> None:
    check_texts(["red lipstick", "green mascara"], encoder, alone=True)
    assert "25% of the tokens" in warnings(caplog)


def test_texts_over_the_limit(encoder: Encoder, caplog: pytest.LogCaptureFixture) -> None:
    long = " ".join(["red"] * 9)
    check_texts([long, "red lipstick", "green lipstick", "red", "green"], encoder, alone=True)
    assert warnings(caplog) == ""  # one in five
    check_texts([long, "red lipstick", "green lipstick"], encoder, alone=True)
    assert "33% of the items' texts are longer than 8 tokens" in warnings(caplog)
    assert "retriever.encoder.max_tokens" in warnings(caplog)


def test_texts_that_are_all_the_same(encoder: Encoder, caplog: pytest.LogCaptureFixture) -> None:
    texts = ["red lipstick"] * 3
    with pytest.raises(InputError, match="all 3 items have the same text: 'red lipstick'"):
        check_texts(texts, encoder, alone=True)
    check_texts(texts, encoder, alone=False)
    assert 'retriever.towers to ["ids"]' in warnings(caplog)
    check_texts(texts[:1], encoder, alone=True)


def test_training_looks_at_the_texts(tmp_path: Path, encoder: Encoder) -> None:
    from worlds import write_prepared

    from aisle.data.settings import TextSettings
    from aisle.retriever.settings import RetrieverSettings
    from aisle.retriever.train import train

    items = [{"item_id": name, "title": "lipstick"} for name in "abc"]
    events = [
        {"user_id": f"u{user}", "item_id": "abc"[(user + step) % 3], "kind": "purchase", "position": step}
        for user in range(4)
        for step in range(3)
    ]
    parts = {part: events[place::3] for place, part in enumerate(("train", "validation", "test"))}
    shop = write_prepared(tmp_path / "shop", items, parts)
    settings = RetrieverSettings(encoder=encoder.settings, towers=("text",))
    with pytest.raises(InputError, match="all 3 items have the same text"):
        train(shop, TextSettings(), settings, tmp_path, seed=0)
