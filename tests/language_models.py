"""Tiny language models with random weights, as folders that transformers reads."""

from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import BertWordPieceTokenizer, ByteLevelBPETokenizer
from transformers import (
    BertConfig,
    BertModel,
    BertTokenizerFast,
    GPT2Config,
    GPT2Model,
    PreTrainedTokenizerFast,
)

TEXTS = [
    "red lipstick",
    "blue nail polish for long nails " * 3,
    "red lipstick",
    "a golden shampoo",
    "perfume",
]


def tiny_bert(folder: Path, *, lowercase: bool = True, layers: int = 1, texts: Sequence[str] = TEXTS) -> Path:
    """A BERT of 16 dimensions that reads 64 tokens, with a vocabulary of `texts`."""
    pieces = BertWordPieceTokenizer(lowercase=lowercase)
    pieces.train_from_iterator(
        [*texts, *map(str.upper, texts)], vocab_size=120, min_frequency=1, show_progress=False
    )
    tokenizer = BertTokenizerFast(tokenizer_object=pieces._tokenizer, do_lower_case=lowercase)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        initializer_range=0.3,
    )
    BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def tiny_gpt2(folder: Path) -> Path:
    """A GPT-2 of two layers of 16 dimensions, which reads 64 tokens; without padding token."""
    pieces = ByteLevelBPETokenizer()
    pieces.train_from_iterator(TEXTS, vocab_size=300, special_tokens=["<|endoftext|>"], show_progress=False)
    end = "<|endoftext|>"
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=pieces._tokenizer, bos_token=end, eos_token=end)
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_embd=16,
        n_layer=2,
        n_head=2,
        n_positions=64,
        initializer_range=0.3,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    GPT2Model(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
