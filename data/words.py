"""What a word of a text is, and BM25 between texts as sparse matrices."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import bm25s
import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from scipy import sparse

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
WORDS = rf"[{_CJK}]|(?:(?![{_CJK}])\w){{2,}}"
"""Words of at least two letters; each character of a script without spaces is a word."""


def words_of(texts: Sequence[str]) -> list[list[str]]:
    """Words of each text in lower case, without English stop words."""
    found: list[list[str]] = bm25s.tokenize(
        list(texts), token_pattern=WORDS, stopwords="en", return_ids=False, show_progress=False
    )
    return found


@dataclass(frozen=True)
class Bm25:
    """BM25 with the statistics of some texts, for these and for later ones, which `bm25s` cannot score.

    `queries @ documents` are the scores: the sum over the words of a query, with
    `idf = log(1 + (texts - df + .5) / (df + .5))`, of

        idf * tf / (tf + k1 * (1 - b + b * length / mean length))

    A word that occurs twice in a query counts twice; one that no text of the statistics has counts nothing.
    Source: Robertson and Zaragoza 2009, "The probabilistic relevance framework: BM25 and beyond", in the
    variant of Lucene (Kamphuis et al. 2020, "Which BM25 Do You Mean?").

    Attributes:
        vocabulary: number of each word.
        idf: of each word, float32 (words).
        mean_length: words of a text.
        k1: how soon more of the same word stops counting.
        b: how much long texts are set back.
    """

    vocabulary: Mapping[str, int]
    idf: Float[NDArray[np.float32], " words"]
    mean_length: float
    k1: float
    b: float

    @classmethod
    def of(cls, words: Sequence[Sequence[str]], *, k1: float = 1.5, b: float = 0.75) -> "Bm25":
        """The statistics of texts, given as their words."""
        vocabulary: dict[str, int] = {}
        for text in words:
            for word in text:
                vocabulary.setdefault(word, len(vocabulary))
        length = sum(map(len, words)) / max(1, len(words))
        counts = _counted(words, vocabulary)
        found = np.bincount(counts.indices, minlength=len(vocabulary))
        idf = np.log1p((len(words) - found + 0.5) / (found + 0.5)).astype(np.float32)
        return cls(vocabulary, idf, max(length, 1.0), k1, b)

    def queries(self, words: Sequence[Sequence[str]]) -> sparse.csr_array:
        """How often each word occurs in each text, float32 (texts, words)."""
        return _counted(words, self.vocabulary)

    def documents(self, words: Sequence[Sequence[str]]) -> sparse.csr_array:
        """Weight of each word in each text, float32 (words, texts)."""
        counts = _counted(words, self.vocabulary)
        lengths = np.array([len(text) for text in words], np.float32)
        damped = self.k1 * (1 - self.b + self.b * lengths / np.float32(self.mean_length))
        owner = np.repeat(np.arange(len(lengths)), np.diff(counts.indptr))
        weights = self.idf[counts.indices] * counts.data / (counts.data + damped[owner])
        found = sparse.csr_array((weights, counts.indices, counts.indptr), counts.shape, dtype=np.float32)
        return found.T.tocsr()


def _counted(words: Sequence[Sequence[str]], vocabulary: Mapping[str, int]) -> sparse.csr_array:
    ids = [[vocabulary[word] for word in text if word in vocabulary] for text in words]
    flat = np.array([word for text in ids for word in text], np.int64)
    ends = np.concatenate([[0], np.cumsum([len(text) for text in ids])]).astype(np.int64)
    counts = sparse.csr_array((np.ones(len(flat), np.float32), flat, ends), (len(ids), len(vocabulary)))
    counts.sum_duplicates()
    return counts
