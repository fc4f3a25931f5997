"""Tokenizers trained on the shop's text know it, and travel."""

import pytest

from aisle.retriever.checkpoint import read_tokenizer
from aisle.retriever.vocabulary import coverage, train_tokenizer

CHINESE = ["质量很好，我很喜欢", "物流很快，质量也好", "Iphone 质量不好"] * 3


@pytest.mark.parametrize("objective", ["masked", "causal"])
def test_a_trained_tokenizer_knows_its_texts_after_saving(tmp_path, objective):
    tokenizer = train_tokenizer(CHINESE, 400, objective, 64)
    tokenizer.save_pretrained(tmp_path)
    again = read_tokenizer(tmp_path)
    assert coverage(again, CHINESE).unknown == 0
    assert again(CHINESE)["input_ids"] == tokenizer(CHINESE)["input_ids"]
    assert again.model_max_length == 64
    assert again.padding_side == "right"
    assert len(tokenizer) <= 400


def test_bytes_know_every_character_and_can_be_read_back():
    tokenizer = train_tokenizer(CHINESE, 400, "causal", 64)
    ids = tokenizer("香水 💐 Été")["input_ids"]
    assert tokenizer.decode(ids, skip_special_tokens=True) == "香水 💐 Été"
    assert (ids[0], ids[-1]) == (tokenizer.bos_token_id, tokenizer.eos_token_id)


def test_coverage_counts_unknown_tokens():
    tokenizer = train_tokenizer(["red pen", "red pen"], 60, "masked", 64)
    found = coverage(tokenizer, ["red 香 pen", "香"])
    assert found.tokens == (3 + 1) / 2
    assert found.unknown == 2 / 4


def test_equal_texts_give_equal_tokenizers():
    """The library's own WordPiece training breaks ties as a hash table with a random seed does."""
    words = [f"{a}{b}{c}" for a in "abcde" for b in "fghij" for c in "klmno"]
    vocabularies = [train_tokenizer(words * 2, 120, "masked", 64).get_vocab() for _ in range(6)]
    assert all(vocabulary == vocabularies[0] for vocabulary in vocabularies)


def test_a_vocabulary_has_no_more_entries_than_told():
    few = train_tokenizer(CHINESE, 64, "masked", 64)
    assert len(few) <= 64
