"""Intervals and tests against slow oracles, and on worlds where the answer is known."""

from itertools import product

import numpy as np
import pytest

from aisle.eval import uncertainty
from aisle.eval.uncertainty import bootstrap_means, flipped_sums, holm, interval, permutation_p


def test_bootstrap_means_equal_means_over_drawn_users():
    scores = np.random.default_rng(1).random((50, 3))
    found = bootstrap_means(scores, resamples=20, seed=9)
    generator = np.random.default_rng(9)
    for mean in found:
        assert mean == pytest.approx(scores[generator.integers(50, size=50)].mean(axis=0))


def test_blocks_do_not_change_the_draws(monkeypatch):
    scores = np.random.default_rng(1).random((50, 3))
    whole = bootstrap_means(scores, resamples=20, seed=9)
    monkeypatch.setattr(uncertainty, "BLOCK", 150)
    assert bootstrap_means(scores, resamples=20, seed=9) == pytest.approx(whole, abs=1e-12)


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    generator = np.random.default_rng(0)
    covered = 0
    for trial in range(200):
        hits = (generator.random((200, 1)) < 0.3).astype(float)
        low, high = interval(bootstrap_means(hits, resamples=200, seed=trial), 0.95)
        covered += low[0] <= 0.3 <= high[0]
    assert 0.91 <= covered / 200 <= 0.985


def test_a_wider_confidence_gives_a_wider_interval():
    means = np.random.default_rng(0).normal(size=(1000, 1))
    (low, high), (lower, higher) = interval(means, 0.8), interval(means, 0.99)
    assert lower < low < high < higher


def test_flipped_sums_are_sums_under_signs_shared_by_the_columns():
    scores = np.array([[1.0, 1.0], [2.0, 20.0], [4.0, 400.0]])
    possible = {tuple(np.array(signs) @ scores) for signs in product((-1, 1), repeat=3)}
    found = {tuple(row) for row in flipped_sums(scores, permutations=200, seed=0)}
    assert found == possible


def test_the_permutation_p_equals_full_enumeration():
    differences = np.array([0.3, 0.5, -0.1, 0.4, 0.2, 0.6])
    every = np.array([np.dot(signs, differences) for signs in product((-1, 1), repeat=6)])
    exact = np.mean(np.abs(every) >= differences.sum() - 1e-9)
    flipped = flipped_sums(differences[:, None], permutations=20_000, seed=3)[:, 0]
    assert permutation_p(differences.sum(), flipped) == pytest.approx(exact, abs=0.01)


def test_equal_models_have_p_one_and_no_p_is_zero():
    assert permutation_p(0.0, np.zeros(99)) == 1
    assert permutation_p(5.0, np.zeros(99)) == 1 / 100


def test_the_test_rejects_equal_models_as_rarely_as_it_says():
    generator = np.random.default_rng(0)
    rejected = 0
    for trial in range(400):
        differences = generator.normal(size=(60, 1))
        flipped = flipped_sums(differences, permutations=400, seed=trial)[:, 0]
        rejected += permutation_p(float(differences.sum()), flipped) < 0.05
    assert 0.02 <= rejected / 400 <= 0.085


def test_holm_multiplies_by_what_is_left_and_never_falls():
    assert holm(np.array([0.01, 0.04, 0.03])) == pytest.approx([3 * 0.01, 2 * 0.03, 2 * 0.03])
    assert holm(np.array([0.5, 0.9])).tolist() == [1, 1]
    assert holm(np.array([])).tolist() == []


def test_holm_keeps_the_error_of_a_family():
    generator = np.random.default_rng(0)
    families = generator.random((1000, 20))
    rejected = np.mean([(holm(family) < 0.05).any() for family in families])
    assert 0.03 <= rejected <= 0.07
