"""BM25 over texts: the texts of the user's last items are the query, all items are the documents."""

from dataclasses import dataclass, field
from typing import Self

import bm25s
import numpy as np
from scipy import sparse

from aisle.data.ids import Rows
from aisle.eval.baselines.past import Past, Scores

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
WORDS = rf"[{_CJK}]|(?:(?![{_CJK}])\w){{2,}}"
"""Words of at least two letters; each character of a script without spaces is a word."""


@dataclass
class TextSearch:
    """Score: BM25 of the item's text for the texts of the history, each weighted `decay ** steps_back`.

    With `decay` 0 the last item alone is the query.
    Source: Robertson and Zaragoza 2009, "The probabilistic relevance framework: BM25 and beyond", in the
    variant of Lucene, as `bm25s` computes it.
    """

    k1: float = 1.5
    b: float = 0.75
    decay: float = 0.5
    words: sparse.csr_array = field(init=False, repr=False)
    index: sparse.csr_array = field(init=False, repr=False)
    histories: sparse.csr_array = field(init=False, repr=False)

    def fit(self, past: Past, *, seed: int, threads: int) -> Self:
        """Index all texts."""
        tokens = bm25s.tokenize(
            list(past.texts), token_pattern=WORDS, stopwords="en", return_ids=True, show_progress=False
        )
        size = (past.n_items, len(tokens.vocab))
        lengths = np.array([len(ids) for ids in tokens.ids])
        flat = np.concatenate([np.array(ids, np.int64) for ids in tokens.ids])
        ends = np.concatenate([[0], np.cumsum(lengths)])
        self.words = sparse.csr_array((np.ones(len(flat), np.float32), flat, ends), size)
        self.words.sum_duplicates()
        self.index = sparse.csr_array(size[::-1], dtype=np.float32)
        if tokens.vocab:
            search = bm25s.BM25(k1=self.k1, b=self.b, method="lucene")
            search.index(tokens, create_empty_token=False, show_progress=False)
            weights = search.scores
            self.index = sparse.csr_array(
                (weights["data"], weights["indices"], weights["indptr"]), size[::-1]
            )
        self.histories = past.weighted(self.decay)
        return self

    def scores(self, user_rows: Rows) -> Scores:
        """BM25 of all texts; a word that occurs twice in the query counts twice."""
        queries = self.histories[user_rows] @ self.words
        scores: Scores = (queries @ self.index).toarray()
        return scores
