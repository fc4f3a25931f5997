"""Co-occurrence against its formula, written as loops."""

from dataclasses import replace

import numpy as np
import pytest

from aisle.data.history import Histories
from aisle.data.schema import DAY
from aisle.retriever import cooccurrence
from aisle.retriever.cooccurrence import CoOccurrenceSettings, Pairs, co_occurrence
from aisle.retriever.neighbours import Neighbours

ITEMS = 12


def histories(rows, days=None):
    flat = np.concatenate([np.array(row, np.int64) for row in rows])
    return Histories(
        offsets=np.cumsum([0, *map(len, rows)]),
        items=flat,
        kinds=np.full(len(flat), 3, np.int8),
        times=np.arange(len(flat)) if days is None else np.array(days, np.int64) * DAY,
    )


def random_world(seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(ITEMS, size=rng.integers(0, 30)).tolist() for _ in range(40)]


def plain_scores(rows, user, settings):
    """The formula of the class, pair by pair."""
    events = np.bincount([item for row in rows for item in row], minlength=ITEMS)
    pairs = np.zeros((ITEMS, ITEMS))
    for row in rows:
        for first, source in enumerate(row):
            for second in range(first + 1, min(len(row), first + cooccurrence.WINDOW + 1)):
                if row[second] != source:
                    weight = settings.gap ** (second - first - 1)
                    pairs[source, row[second]] += weight
                    pairs[row[second], source] += settings.back * weight
    scores = np.zeros(ITEMS)
    for steps_back, source in enumerate(reversed(rows[user])):
        divisor = events[source] ** settings.source * events.astype(float) ** settings.target
        scores += settings.decay**steps_back * pairs[source] / (divisor + settings.shrink)
    return scores


@pytest.mark.parametrize(
    "settings",
    [CoOccurrenceSettings(), CoOccurrenceSettings(gap=1.0, back=0.1, source=0.7, target=0.0, decay=0.9)],
)
def test_scores_are_those_of_the_formula(settings):
    rows = random_world()
    world = histories(rows)
    found = co_occurrence(Pairs(world, ITEMS), settings).scores(world, np.arange(len(rows))).toarray()
    expected = np.stack([plain_scores(rows, user, settings) for user in range(len(rows))])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)


def test_old_pairs_fade():
    rows, days = [[0, 1], [0, 2]], [0, 0, 30, 30]
    settings = CoOccurrenceSettings(half_life=30.0, back=0.0, shrink=0.0, source=0.0, target=0.0, decay=1.0)
    world = histories(rows, days)
    scores = co_occurrence(Pairs(world, 3), settings).scores(histories([[0]]), np.array([0])).toarray()
    assert scores.tolist() == [[0, pytest.approx(1 / 2), pytest.approx(1)]]


def test_shares_leave_out_what_was_seen():
    world = histories([[0, 1, 2, 3], [0, 2]])
    found = co_occurrence(Pairs(world, ITEMS), CoOccurrenceSettings())
    pool, shares = found.shares(world, np.array([1, 0]), [np.array([0, 2]), np.array([0, 1, 2, 3])])
    assert pool.items[: pool.sizes[0]].tolist() == [1, 3]
    assert pool.sizes.tolist() == [2, 0]
    assert shares.sum() == pytest.approx(1)


def test_each_item_keeps_its_nearest(monkeypatch):
    monkeypatch.setattr(cooccurrence, "NEIGHBOURS", 2)
    world = histories(random_world())
    pairs = Pairs(world, ITEMS)
    cut = co_occurrence(pairs, CoOccurrenceSettings()).similar.toarray()
    monkeypatch.setattr(cooccurrence, "NEIGHBOURS", ITEMS)
    whole = co_occurrence(pairs, CoOccurrenceSettings()).similar.toarray()
    assert ((cut > 0).sum(1) == 2).all()
    for row, full in zip(cut, whole, strict=True):
        assert sorted(row[row > 0]) == pytest.approx(sorted(full)[-2:])


def test_what_was_saved_scores_alike(tmp_path):
    world = histories(random_world())
    found = co_occurrence(Pairs(world, ITEMS), CoOccurrenceSettings())
    found.save(tmp_path / "co_occurrence.safetensors")
    read = Neighbours.load(tmp_path / "co_occurrence.safetensors", found.decay, found.most)
    assert (read.similar != found.similar).nnz == 0


def test_nothing_occurred_together():
    world = histories([[0], [1], []])
    found = co_occurrence(Pairs(world, ITEMS), CoOccurrenceSettings())
    pool, shares = found.shares(world, np.arange(3), [np.array([0]), np.array([1]), np.empty(0, np.int64)])
    assert len(pool.items) == len(shares) == 0


def test_the_best_of_a_user_count_where_there_is_a_limit():
    world = histories(random_world())
    whole = co_occurrence(Pairs(world, ITEMS), CoOccurrenceSettings())
    cut = replace(whole, most=2)
    users, seen = np.arange(len(world)), [np.empty(0, np.int64)] * len(world)
    pool, shares = cut.shares(world, users, seen)
    scores = whole.scores(world, users).toarray()
    for user in users:
        best = np.lexsort((np.arange(ITEMS), -scores[user]))[:2]
        best = np.sort(best[scores[user, best] > 0])
        here = slice(pool.offsets[user], pool.offsets[user + 1])
        assert pool.items[here].tolist() == best.tolist()
        np.testing.assert_allclose(shares[here], scores[user, best] / scores[user, best].sum(), rtol=1e-5)
