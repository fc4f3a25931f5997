"""Each sign of a collapse, planted; none where there is none."""

import numpy as np
import pytest

from aisle.retriever.collapse import Signs, signs

USERS, ITEMS = 400, 300


@pytest.fixture
def world():
    """Each user's relevant item is its own; the first ones are popular."""
    rng = np.random.default_rng(0)
    relevant = [np.array([row]) for row in rng.integers(ITEMS, size=USERS)]
    seen = [np.array([(int(rows[0]) + 1) % ITEMS]) for rows in relevant]
    popularity = np.arange(ITEMS, 0, -1).astype(np.float64)
    scores = rng.normal(size=(USERS, ITEMS)).astype(np.float32)
    top = np.stack([(rows[0] + 2 * np.arange(10)) % ITEMS for rows in relevant])
    return {"scores": scores, "top": top, "relevant": relevant, "seen": seen, "popularity": popularity}


def test_a_healthy_model_has_no_signs(world):
    found = signs(**world)
    assert found.recall == 1
    assert found.popularity == pytest.approx(10 / ITEMS, abs=0.03)
    assert found.warnings() == []


def test_constant_scores(world):
    (warning,) = signs(**{**world, "scores": world["scores"] * 1e-3}).warnings()
    assert "hardly differ" in warning
    assert "retriever.learning_rate" in warning


def test_the_same_for_everybody(world):
    crowded = np.array(world["top"])
    crowded[:, 1:] = np.arange(9)
    found = signs(**{**world, "top": crowded})
    counts = np.bincount(crowded.ravel(), minlength=ITEMS)
    assert found.hubs == pytest.approx(np.sort(counts)[-10:].sum() / crowded.size)
    assert found.skewness > 3
    (warning,) = found.warnings()
    assert "the same to everybody" in warning
    small = Signs(items=50, spread=1.0, hubs=1.0, skewness=9.0, recall=1.0, popularity=0.0, error=0.1)
    assert small.warnings() == []


def test_worse_than_popularity(world):
    relevant = [np.array([user % 10]) for user in range(USERS)]
    lists = 20 + (7 * np.arange(USERS)[:, None] + 11 * np.arange(10)) % (ITEMS - 20)
    seen = [np.array([299])] * USERS
    found = signs(**{**world, "top": lists, "relevant": relevant, "seen": seen})
    assert (found.recall, found.popularity) == (0, 1)
    (warning,) = found.warnings()
    assert "worse than no model" in warning


def test_a_difference_within_the_noise_is_no_sign():
    close = Signs(items=300, spread=1.0, hubs=0.1, skewness=1.0, recall=0.10, popularity=0.11, error=0.01)
    assert close.warnings() == []


def test_popularity_leaves_out_what_users_have_seen(world):
    relevant = [np.array([10])] * USERS
    first = [np.array([user % 10]) for user in range(USERS)]  # one of the first ten: the eleventh moves up
    assert signs(**{**world, "relevant": relevant, "seen": first}).popularity == 1
    assert signs(**{**world, "relevant": relevant, "seen": [np.array([50])] * USERS}).popularity == 0
