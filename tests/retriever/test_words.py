"""Shared words against BM25 as the library scores it, and items that come later."""

import bm25s
import numpy as np
import pytest
from scipy import sparse

from aisle.data.history import Histories
from aisle.data.words import WORDS, Bm25, words_of
from aisle.retriever import words
from aisle.retriever.words import neighbours, similar_words, with_words

TEXTS = [
    "argan oil shampoo for dry hair",
    "shampoo with argan oil",
    "red lipstick",
    "lipstick in red, matte red",
    "",
    "护发素 洗发水",
    "洗发水",
    "hair brush for dry hair",
    "the of and",
]


def plain(texts: list[str]) -> np.ndarray:
    """BM25 of every text for every other, query by query."""
    tokens = bm25s.tokenize(texts, token_pattern=WORDS, stopwords="en", show_progress=False)
    search = bm25s.BM25(method="lucene")
    search.index(tokens, show_progress=False)
    queries = bm25s.tokenize(
        texts, token_pattern=WORDS, stopwords="en", show_progress=False, return_ids=False
    )
    scores = np.stack([search.get_scores(query) if query else np.zeros(len(texts)) for query in queries])
    np.fill_diagonal(scores, 0)
    return scores


def histories(*rows: list[int]) -> Histories:
    flat = np.concatenate([np.array(row, np.int64) for row in rows])
    kinds = np.full(len(flat), 3, np.int8)
    return Histories(np.cumsum([0, *map(len, rows)]), flat, kinds, np.arange(len(flat)))


def test_scores_are_those_of_the_library():
    np.testing.assert_allclose(similar_words(words_of(TEXTS)).toarray(), plain(TEXTS), rtol=1e-4)


def test_without_words_nothing_is_similar():
    statistics = Bm25.of([[], []])
    assert (statistics.queries([[], []]) @ statistics.documents([[], []])).nnz == 0
    assert similar_words([[], []]).nnz == 0


def test_each_item_keeps_its_nearest(monkeypatch):
    monkeypatch.setattr(words, "NEIGHBOURS", 1)
    cut, whole = similar_words(words_of(TEXTS)).toarray(), plain(TEXTS)
    assert ((cut > 0).sum(1) == (whole > 0).any(1)).all()
    np.testing.assert_allclose(cut.max(1), whole.max(1), rtol=1e-4)


@pytest.mark.parametrize("cells", [1, 20])
def test_blocks_change_nothing(monkeypatch, cells):
    expected = similar_words(words_of(TEXTS))
    monkeypatch.setattr(words, "CELLS", cells)
    found = similar_words(words_of(TEXTS))
    assert abs(found - expected).max() == 0


def test_what_shares_words_with_a_history_is_found():
    source = neighbours(similar_words(words_of(TEXTS)), decay=0.5)
    pool, shares = source.shares(histories([2, 0]), np.array([0]), [np.array([0, 2])])
    assert set(pool.items) == {1, 3, 7}
    assert shares.sum() == pytest.approx(1)
    scores = plain(TEXTS)[0] + 0.5 * plain(TEXTS)[2]
    np.testing.assert_allclose(shares, scores[pool.items] / scores[pool.items].sum(), rtol=1e-4)


def test_items_that_come_later_are_found_by_their_words():
    before = words_of(TEXTS)
    source = neighbours(similar_words(before), decay=0.5)
    found = with_words(source, before, words_of(["argan oil for dry hair", "blue mascara"]), trained=9)
    assert found.similar.shape == (11, 11)
    old = np.arange(9)
    np.testing.assert_array_equal(found.similar[old][:, old].toarray(), source.similar.toarray())
    pool, shares = found.shares(histories([0]), np.array([0]), [np.array([0])])
    assert pool.items[shares.argmax()] == 9
    assert 10 not in pool.items
    assert {0, 1, 7} == set(np.flatnonzero(found.similar[[9]].toarray()[0]))


def test_items_added_one_by_one_are_as_if_added_together():
    before, more = words_of(TEXTS), words_of(["argan oil for dry hair", "dry red lipstick"])
    source = neighbours(similar_words(before), decay=0.5)
    together = with_words(source, before, more, trained=9)
    first = with_words(source, before, more[:1], trained=9)
    second = with_words(first, [*before, *more[:1]], more[1:], trained=9)
    np.testing.assert_allclose(second.similar.toarray(), together.similar.toarray(), rtol=1e-6)


def test_similarities_are_sparse_and_sorted():
    found = similar_words(words_of(TEXTS))
    assert isinstance(found, sparse.csr_array)
    assert found.dtype == np.float32
    assert found.has_sorted_indices
