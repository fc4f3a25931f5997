"""What a word of a text is, and BM25 between texts as sparse matrices."""

from collections.abc import Sequence

import bm25s
import numpy as np
from bm25s.tokenization import Tokenized
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


def bm25(
    words: Sequence[Sequence[str]], *, k1: float = 1.5, b: float = 0.75
) -> tuple[sparse.csr_array, sparse.csr_array]:
    """BM25 of texts for each other: `queries @ documents` are the scores, float32 (texts, texts).

    A word that occurs twice in a query counts twice.
    Source: Robertson and Zaragoza 2009, "The probabilistic relevance framework: BM25 and beyond", in the
    variant of Lucene, as `bm25s` computes it.

    Returns:
        How often each word occurs in each text, float32 (texts, words), and the weight of each word in each
        text, float32 (words, texts).
    """
    vocabulary: dict[str, int] = {}
    ids = [[vocabulary.setdefault(word, len(vocabulary)) for word in text] for text in words]
    size = (len(ids), len(vocabulary))
    flat = np.array([word for text in ids for word in text], np.int64)
    ends = np.concatenate([[0], np.cumsum([len(text) for text in ids])]).astype(np.int64)
    queries = sparse.csr_array((np.ones(len(flat), np.float32), flat, ends), size)
    queries.sum_duplicates()
    if not vocabulary:
        return queries, sparse.csr_array(size[::-1], dtype=np.float32)
    search = bm25s.BM25(k1=k1, b=b, method="lucene")
    search.index(Tokenized(ids, vocabulary), create_empty_token=False, show_progress=False)
    found = search.scores
    return queries, sparse.csr_array((found["data"], found["indices"], found["indptr"]), size[::-1])
