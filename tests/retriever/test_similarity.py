"""Similarity of texts: the mean of a history, recent events first."""

import numpy as np
import pytest

from aisle.data.history import Histories
from aisle.retriever.similarity import TextSimilarity

VECTORS = np.array([[1, 0], [0, 1], [0.6, 0.8], [0, 0]], np.float32)


def histories(*rows):
    flat = np.concatenate([np.array(row, np.int64) for row in rows])
    return Histories(
        np.cumsum([0, *map(len, rows)]), flat, np.full(len(flat), 3, np.int8), np.arange(len(flat))
    )


def test_recent_events_count_more():
    found = TextSimilarity(VECTORS, 0.5).users(histories([1, 0], [0], []), np.array([0, 1, 2]))
    length = np.hypot(1, 0.5)
    np.testing.assert_allclose(found, [[1 / length, 0.5 / length], [1, 0], [0, 0]], rtol=1e-6)


def test_a_repeated_item_counts_each_time():
    found = TextSimilarity(VECTORS, 1.0).users(histories([0, 1, 1]), np.array([0]))
    assert found[0] == pytest.approx(np.array([1, 2]) / np.sqrt(5))


def test_items_without_a_text_say_nothing():
    found = TextSimilarity(VECTORS, 1.0).users(histories([3], [3, 1]), np.array([0, 1]))
    assert found.tolist() == [[0, 0], [0, 1]]
