"""Scorers learn a planted order, are kept on disk, and their losses are those of the formula."""

from dataclasses import replace
from math import exp, log
from pathlib import Path

import numpy as np
import pytest
import torch

from aisle.data.history import Histories
from aisle.data.ragged import offsets_of_sizes
from aisle.ranker.features import Features
from aisle.ranker.linear import REGULARISATION, linear_weights
from aisle.ranker.lists import Lists
from aisle.ranker.losses import bce, listwise
from aisle.ranker.ndcg import mean_ndcg
from aisle.ranker.scorers import fit, load
from aisle.ranker.settings import BoostingSettings, NetworkSettings, RankerSettings
from aisle.ranker.student import student, taught

SETTINGS = RankerSettings(
    boosting=BoostingSettings(trees=60, smallest_leaf=10, learning_rate=0.1),
    network=NetworkSettings(loss="listwise", learning_rate=0.02),
)


def world(lists: int = 200, size: int = 12, seed: int = 0) -> tuple[Features, np.ndarray, np.ndarray]:
    """The relevant item of a list is the one with the largest second feature; the first is noise."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(lists * size, 3)).astype(np.float32)
    best = values[:, 1].reshape(lists, size).argmax(1) + size * np.arange(lists)
    labels = np.zeros(lists * size, bool)
    labels[best] = True
    values[rng.random(lists * size) < 0.2, 2] = np.nan
    return Features(("noise.a", "signal.b", "gaps.c"), values), np.full(lists, size), labels


@pytest.mark.parametrize("kind", ["boosting", "network"])
def test_a_scorer_learns_and_is_kept(kind: str, tmp_path: Path) -> None:
    features, sizes, labels = world()
    scorer = fit(kind, features, sizes, labels, SETTINGS, seed=0)
    other, other_sizes, other_labels = world(seed=1)
    scores = scorer.scores(other)
    assert mean_ndcg(scores, other_labels, other_sizes) > 0.85
    assert np.isfinite(scores).all()
    scorer.save(tmp_path)
    assert np.array_equal(load(kind, tmp_path).scores(other), scores)
    again = fit(kind, features, sizes, labels, SETTINGS, seed=0)
    assert np.array_equal(again.scores(other), scores)


@pytest.mark.parametrize("kind", ["boosting", "network"])
def test_what_was_never_missing_stands_in_the_middle_when_it_is(kind: str) -> None:
    """All numbers are far above 0: a missing one that was taken for 0 would come last."""
    features, sizes, labels = world()
    features = replace(features, values=features.values + 5)
    scorer = fit(kind, features, sizes, labels, SETTINGS, seed=0)
    low, middle, high, unknown = (
        scorer.scores(Features(features.names, np.array([[5, value, 5]], np.float32))).item()
        for value in (2, 5, 8, np.nan)
    )
    assert low < high
    assert abs(unknown - middle) < 0.2 * (high - low)


def test_a_student_orders_as_its_teacher_does() -> None:
    features, sizes, labels = world()
    teacher = fit("boosting", features, sizes, labels, SETTINGS, seed=0)
    pupil = student(features, sizes, teacher.scores(features), SETTINGS.network, seed=0)
    other, other_sizes, other_labels = world(seed=1)
    assert mean_ndcg(pupil.scores(other), other_labels, other_sizes) > 0.85


def test_students_are_judged_on_lists_of_others() -> None:
    features, sizes, _ = world()
    lists = Lists(
        np.arange(len(sizes)), offsets_of_sizes(sizes), np.arange(sizes.sum()), features.values[:, 0], {}
    )
    scores = features.values[:, 1]
    pupil, held_out = taught(lists, features, scores, SETTINGS, seed=0)
    assert pupil.hidden == SETTINGS.student.hidden
    fold = np.random.default_rng(0).permutation(len(lists)) % SETTINGS.folds
    others = np.flatnonzero(fold != 0)
    recipe = SETTINGS.network.model_copy(update={"hidden": SETTINGS.student.hidden})
    pairs, asked = lists.pairs_of(others), lists.pairs_of(np.flatnonzero(fold == 0))
    alone = student(features.take(pairs), sizes[others], scores[pairs], recipe, seed=0)
    assert np.array_equal(held_out[asked], alone.scores(features.take(asked)))


def test_losses() -> None:
    scores, labels = torch.tensor([0.0, 1.0, 2.0]), torch.tensor([1.0, 0.0, 0.0])
    owner = torch.tensor([0, 0, 0])
    first = log(1 + exp(-0.0))
    others = log(1 + exp(1.0)) + log(1 + exp(2.0))
    assert bce(scores, labels, owner, 3.0).item() == pytest.approx((3 * first + others) / 5)
    assert listwise(scores, labels, owner, 1.0).item() == pytest.approx(log(1 + exp(1.0) + exp(2.0)))
    exact = listwise(scores.double(), labels.double(), owner, 1.0)
    assert exact.item() == pytest.approx(log(1 + exp(1.0) + exp(2.0)), abs=1e-12)
    two = torch.tensor([0, 0, 1])  # the second list has no relevant item
    assert listwise(scores, labels, two, 1.0).item() == pytest.approx(log(1 + exp(1.0)))


def test_features_that_are_not_there_any_more_are_missing() -> None:
    features, _, _ = world(2)
    found = features.without(["noise"]).aligned(("noise.a", "signal.b"))
    assert np.isnan(found.values[:, 0]).all()
    assert np.array_equal(found.values[:, 1], features.values[:, 1])


def test_linear_weights_minimise_what_they_should() -> None:
    rng = np.random.default_rng(0)
    had = rng.random((300, 5)) < np.linspace(0.2, 0.8, 5)
    had[:, 1] |= had[:, 0]
    rows = [np.flatnonzero(row) for row in had]
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    items = np.concatenate(rows)
    histories = Histories(offsets, items, np.zeros(len(items), np.int8), np.arange(len(items)))
    found = linear_weights(histories, 5).toarray()
    x = had.astype(np.float64)
    for item in range(5):  # ridge regression of each column on the others
        others = [other for other in range(5) if other != item]
        left = x[:, others]
        expected = np.linalg.solve(left.T @ left + REGULARISATION * np.eye(4), left.T @ x[:, item])
        assert found[others, item] == pytest.approx(expected, abs=1e-4)
        assert found[item, item] == 0
    nobody = Histories(np.zeros(3, np.int64), items[:0], np.zeros(0, np.int8), items[:0])
    assert linear_weights(nobody, 4).shape == (4, 4)
    # two more items that nobody took, and room for three: the others stand as if these were all
    few = linear_weights(histories, 7, most=3).toarray()
    taken = np.flatnonzero(np.bincount(items, minlength=7) >= np.sort(np.bincount(items))[-3])
    place = {item: row for row, item in enumerate(taken)}
    kept = [row[np.isin(row, taken)] for row in rows]
    ends = np.concatenate([[0], np.cumsum([len(row) for row in kept])]).astype(np.int64)
    left = np.array([place[item] for row in kept for item in row])
    alone = linear_weights(Histories(ends, left, np.zeros(len(left), np.int8), left), 3).toarray()
    assert few[np.ix_(taken, taken)] == pytest.approx(alone, abs=1e-5)
    assert np.count_nonzero(few) == np.count_nonzero(alone) == 6
