"""Whole words are masked, whatever the script; nothing of a text is lost in the cutting."""

import numpy as np
import pytest
import torch
from language_models import TEXTS, tiny_bert, tiny_gpt2

from aisle.retriever.checkpoint import read_tokenizer
from aisle.retriever.masking import IGNORED, LONGEST_WORD, Chunk, Examples, Masking, chunks, with_labels
from aisle.retriever.vocabulary import train_tokenizer

MASK, VOCABULARY = 4, 1000


def texts_of(*words: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids from 100 on in each text, and the words given."""
    numbers = torch.tensor(words)
    return torch.arange(100, 100 + numbers.shape[1]).repeat(len(words), 1), numbers


def test_words_are_hidden_whole_and_special_tokens_and_padding_never():
    ids, words = texts_of([-1, 0, 0, 0, 1, 2, 2, -1], [-1, 0, 1, 1, -1, -1, -1, -1])
    for seed in range(200):
        _, labels = Masking(0.5, MASK, VOCABULARY).hide(ids, words, torch.Generator().manual_seed(seed))
        hidden = labels != IGNORED
        assert not hidden[words == -1].any()
        assert hidden.any(1).all(), "at least one word of each text"
        for row, count in ((0, 3), (1, 2)):
            for word in range(count):
                assert len(set(hidden[row, words[row] == word].tolist())) == 1
        assert torch.equal(labels[hidden], ids[hidden])


def test_shares_are_berts():
    ids, words = texts_of([*range(50_000)])
    inputs, labels = Masking(0.15, MASK, VOCABULARY).hide(ids, words, torch.Generator().manual_seed(0))
    hidden = labels != IGNORED
    assert abs(hidden.float().mean() - 0.15) < 0.01
    assert torch.equal(inputs[~hidden], ids[~hidden])
    assert abs((inputs[hidden] == MASK).float().mean() - 0.8) < 0.02
    assert abs((inputs[hidden] == ids[hidden]).float().mean() - 0.1) < 0.02


def test_chinese_characters_are_words_of_their_own():
    """transformers' whole-word masking would hide the whole sentence: nothing in it is set apart."""
    texts = ["质量很好，我很喜欢", "质量不好"] * 3
    tokenizer = train_tokenizer(texts, 200, "masked", 64)
    (found,) = chunks(tokenizer, ["质量很好，我很喜欢"], 64, "masked")
    assert found.words.tolist() == [-1, *range(len("质量很好，我很喜欢")), -1]


def test_long_words_are_cut():
    tokenizer = train_tokenizer([*"abcdefgh"] * 2, 100, "masked", 64)
    (found,) = chunks(tokenizer, ["abcdefgh" * 2 + " a"], 64, "masked")
    length = int((found.words == 0).sum())
    assert length <= LONGEST_WORD
    assert found.words.max() == -(-(len(found.words) - 3) // LONGEST_WORD)


@pytest.mark.parametrize(("make", "objective"), [(tiny_bert, "masked"), (tiny_gpt2, "causal")])
def test_nothing_of_a_text_is_lost_in_the_cutting(tmp_path, make, objective):
    tokenizer = read_tokenizer(make(tmp_path))
    found = chunks(tokenizer, [*TEXTS, ""], 12, objective)
    assert max(len(one.ids) for one in found) == 12
    tokens = [token for one in found for token, word in zip(one.ids, one.words, strict=True) if word >= 0]
    expected = [token for text in TEXTS for token in tokenizer(text, add_special_tokens=False)["input_ids"]]
    assert tokens == expected
    if objective == "causal":
        assert all(one.ids[0] == one.ids[-1] == tokenizer.eos_token_id for one in found)


def test_batches_are_padded_on_the_right_and_padding_is_no_target():
    parts = [
        Chunk(np.arange(100, 100 + len(words), dtype=np.int32), np.array(words, np.int32))
        for words in ([-1, 0, 1, -1], [-1, 0, -1])
    ]
    batch = Examples(parts, padding=102).collate(parts)
    assert batch["input_ids"].tolist() == [[100, 101, 102, 103], [100, 101, 102, 102]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1], [1, 1, 1, 0]]
    assert batch["words"].tolist() == [[-1, 0, 1, -1], [-1, 0, -1, -1]]
    labels = with_labels(batch, None)["labels"]
    assert labels.tolist() == [[100, 101, 102, 103], [100, 101, 102, IGNORED]], "102 is a token, too"
