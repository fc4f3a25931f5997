"""Examples of language modelling: whole words masked, or the next token.

transformers' own whole-word masking takes what touches for one word, so that a Chinese sentence, written
without spaces, would be masked from end to end. Words here are those of the tokenizer: what its pre-tokenizer
cuts at spaces and punctuation and, in BERT's kind, each Chinese character by itself. There is no segmenter:
a Chinese word of two characters is two words here. Longer words than `LONGEST_WORD` tokens are cut.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerBase

from aisle.retriever.vocabulary import Objective

IGNORED = -100
"""Label of a token that the loss leaves out."""

LONGEST_WORD = 8
"""Tokens of the longest word that is masked as one; longer runs come from scripts without spaces, or junk."""


@dataclass(frozen=True)
class Chunk:
    """A stretch of a text that a model reads at once.

    Attributes:
        ids: of its tokens, special ones included.
        words: number of the word that each token belongs to, from 0; -1 for special tokens.
    """

    ids: NDArray[np.int32]
    words: NDArray[np.int32]


def chunks(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], longest: int, objective: Objective
) -> list[Chunk]:
    """All texts, cut into stretches of at most `longest` tokens; nothing of a text is left out.

    A causal model whose tokenizer adds no token of its own (GPT-2) gets its end-of-text token before and
    behind each stretch, as in its own training.
    """
    bare = objective == "causal" and tokenizer.num_special_tokens_to_add() == 0
    ends = np.array([tokenizer.eos_token_id], np.int32) if bare else np.zeros(0, np.int32)
    found = []
    for start in range(0, len(texts), 1000):
        part = tokenizer(
            list(texts[start : start + 1000]),
            truncation=True,
            max_length=longest - 2 * len(ends),
            return_overflowing_tokens=True,
        )
        for row, ids in enumerate(part["input_ids"]):
            words = _words(part.word_ids(row))
            if (words >= 0).any():
                outside = np.full(len(ends), -1, np.int32)
                found.append(
                    Chunk(
                        np.concatenate([ends, np.array(ids, np.int32), ends]),
                        np.concatenate([outside, words, outside]),
                    )
                )
    return found


def _words(found: Sequence[int | None]) -> NDArray[np.int32]:
    """Words numbered from 0, none longer than LONGEST_WORD tokens."""
    numbers = np.full(len(found), -1, np.int32)
    number, length, before = -1, 0, None
    for place, word in enumerate(found):
        if word is None:
            continue
        if word != before or length == LONGEST_WORD:
            number, length, before = number + 1, 0, word
        numbers[place], length = number, length + 1
    return numbers


@dataclass(frozen=True)
class Masking:
    """How words are hidden: 80% masked, 10% replaced, 10% left (Devlin et al. 2019, section 3.1), as a whole.

    Attributes:
        share: of the words that are to be predicted; at least one of each chunk.
        mask: id of the mask token.
        vocabulary: number of ids; replacements are drawn from all of them.
    """

    share: float
    mask: int
    vocabulary: int

    def hide(
        self,
        ids: Int[Tensor, "batch tokens"],
        words: Int[Tensor, "batch tokens"],
        generator: torch.Generator | None = None,
    ) -> tuple[Int[Tensor, "batch tokens"], Int[Tensor, "batch tokens"]]:
        """(ids with words hidden, labels); of the global random state unless told otherwise.

        Args:
            ids: of the tokens.
            words: that the tokens belong to, numbered from 0 in each text; -1 for what is never hidden.
            generator: of the choice.
        """
        place, count = ids.device, words.amax(1, keepdim=True) + 1
        shape = (len(ids), int(count.max()))
        draws, fates = (torch.rand(shape, generator=generator, device=place) for _ in range(2))
        draws = draws.masked_fill(torch.arange(shape[1], device=place) >= count, 2.0)
        chosen = draws <= draws.amin(1, keepdim=True).clamp(min=self.share)
        of_word = words.clamp(min=0)
        hidden = chosen.gather(1, of_word) & (words >= 0)
        fate = fates.gather(1, of_word)
        others = torch.randint(self.vocabulary, ids.shape, generator=generator, device=place)
        shown = ids.masked_fill(hidden & (fate < 0.8), self.mask)
        shown = torch.where(hidden & (fate >= 0.9), others, shown)
        return shown, ids.masked_fill(~hidden, IGNORED)


class Examples(Dataset[Chunk]):
    """Chunks as examples.

    Args:
        chunks: what is read.
        padding: id that fills up a batch.
    """

    def __init__(self, chunks: Sequence[Chunk], padding: int) -> None:
        self.chunks = chunks
        self.padding = padding

    def __len__(self) -> int:
        return len(self.chunks)

    def __getitem__(self, row: int) -> Chunk:
        return self.chunks[row]

    @property
    def lengths(self) -> list[int]:
        """Tokens of each chunk."""
        return [len(chunk.ids) for chunk in self.chunks]

    def collate(self, chosen: Sequence[Chunk]) -> dict[str, Int[Tensor, "batch tokens"]]:
        """`input_ids`, `attention_mask` and `words` (-1 for padding, too), padded on the right."""
        ids, words = (
            [torch.from_numpy(getattr(chunk, name)).long() for chunk in chosen] for name in ("ids", "words")
        )
        mask = [torch.ones_like(one) for one in ids]
        return {
            "input_ids": pad_sequence(ids, batch_first=True, padding_value=self.padding),
            "attention_mask": pad_sequence(mask, batch_first=True),
            "words": pad_sequence(words, batch_first=True, padding_value=-1),
        }


def with_labels(
    batch: Mapping[str, Int[Tensor, "batch tokens"]],
    masking: Masking | None,
    generator: torch.Generator | None = None,
) -> dict[str, Int[Tensor, "batch tokens"]]:
    """What a language model reads, and what it is to predict: hidden words, or without masking every token.

    Words are hidden here and not while a batch is collated: batches are made ahead of their step, and a
    training that goes on after a kill would hide others than one that was never killed.
    """
    ids, mask = batch["input_ids"], batch["attention_mask"]
    if masking is None:
        labels = ids.masked_fill(mask == 0, IGNORED)
    else:
        ids, labels = masking.hide(ids, batch["words"], generator)
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}
