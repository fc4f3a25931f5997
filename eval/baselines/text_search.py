"""BM25 over texts: the texts of the user's last items are the query, all items are the documents."""

from dataclasses import dataclass, field
from typing import Self

from scipy import sparse

from aisle.data.ids import Rows
from aisle.data.words import Bm25, words_of
from aisle.eval.baselines.past import Past, Scores


@dataclass
class TextSearch:
    """Score: BM25 of the item's text for the texts of the history, each weighted `decay ** steps_back`.

    With `decay` 0 the last item alone is the query.
    Source: :class:`aisle.data.words.Bm25`.
    """

    k1: float = 1.5
    b: float = 0.75
    decay: float = 0.5
    words: sparse.csr_array = field(init=False, repr=False)
    index: sparse.csr_array = field(init=False, repr=False)
    histories: sparse.csr_array = field(init=False, repr=False)

    def fit(self, past: Past, *, seed: int, threads: int) -> Self:
        """Index all texts."""
        words = words_of(past.texts)
        statistics = Bm25.of(words, k1=self.k1, b=self.b)
        self.words, self.index = statistics.queries(words), statistics.documents(words)
        self.histories = past.weighted(self.decay)
        return self

    def scores(self, user_rows: Rows) -> Scores:
        """BM25 of all texts; a word that occurs twice in the query counts twice."""
        queries = self.histories[user_rows] @ self.words
        scores: Scores = (queries @ self.index).toarray()
        return scores
