"""Tokenizers trained on a shop's own text, and how well a tokenizer knows a text."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

Objective = Literal["masked", "causal"]
"""What a language model is trained for: to fill in masked words (BERT), or the next token (GPT-2)."""

BEGIN, END, PAD = "<s>", "</s>", "<pad>"


def train_tokenizer(
    texts: Iterable[str], size: int, objective: Objective, longest: int
) -> PreTrainedTokenizerFast:
    """A tokenizer whose vocabulary comes from `texts`.

    For a masked model: WordPiece in lower case as BERT's (Devlin et al. 2019), where each Chinese character
    is a word of its own. For a causal one: BPE over bytes as GPT-2's (Radford et al. 2019), which knows no
    unknown characters, with a token before and one behind each text. Equal texts give equal tokenizers.

    Args:
        texts: to learn from.
        size: entries of the vocabulary at most, unless the characters alone are more.
        objective: of the language model.
        longest: tokens that the model reads, special ones included.
    """
    return (_wordpiece if objective == "masked" else _bytes)(texts, size, longest)


def _wordpiece(texts: Iterable[str], size: int, longest: int) -> PreTrainedTokenizerFast:
    special = {
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "mask_token": "[MASK]",
    }
    normalizer = normalizers.BertNormalizer(lowercase=True, handle_chinese_chars=True)
    cut = pre_tokenizers.BertPreTokenizer()
    words = Counter(
        word for text in texts for word, _ in cut.pre_tokenize_str(normalizer.normalize_str(text))
    )
    # the library numbers characters within words in the order of a hash table, and so breaks ties by chance
    inner = sorted({f"##{character}" for word in words for character in word[1:]})
    learner = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    trainer = trainers.WordPieceTrainer(
        vocab_size=size, min_frequency=2, special_tokens=[*special.values(), *inner], show_progress=False
    )
    learner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    learner.train_from_iterator((word for word, count in words.items() for _ in range(count)), trainer)
    tokenizer = Tokenizer(models.WordPiece(learner.get_vocab(), unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, cut
    tokenizer.decoder = decoders.WordPiece()
    ends = [(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ends
    )
    return _wrapped(tokenizer, longest, **special)


def _bytes(texts: Iterable[str], size: int, longest: int) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=2,
        special_tokens=[BEGIN, END, PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    ends = [(name, tokenizer.token_to_id(name)) for name in (BEGIN, END)]
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{BEGIN} $A {END}", special_tokens=ends)
    return _wrapped(tokenizer, longest, bos_token=BEGIN, eos_token=END, pad_token=PAD)


def _wrapped(tokenizer: Tokenizer, longest: int, **special: str) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, model_max_length=longest, padding_side="right", **special
    )


@dataclass(frozen=True)
class Coverage:
    """How a tokenizer sees texts.

    Attributes:
        tokens: mean number of tokens of a text, without special ones.
        unknown: share of tokens that are the unknown token.
    """

    tokens: float
    unknown: float


def coverage(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> Coverage:
    """How `tokenizer` sees `texts`, of which there is at least one."""
    ids = tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
    count = sum(map(len, ids))
    unknown = (
        sum(one.count(tokenizer.unk_token_id) for one in ids) if tokenizer.unk_token_id is not None else 0
    )
    return Coverage(count / len(ids), unknown / max(1, count))
