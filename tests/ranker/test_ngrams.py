"""N-grams of reviews with more than two classes, and the measures of such classifiers."""

import numpy as np
import pytest

from aisle.ranker.sentiment.ngrams import fit_ngrams, log_loss
from aisle.ranker.sentiment.quality import measure
from aisle.ranker.sentiment.settings import NGramSettings

WORDS = ("broken", "plain", "lovely")


def reviews(count: int, seed: int) -> tuple[list[str], np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, count)
    return [f"the cup is {WORDS[label]} {number % 7}" for number, label in enumerate(labels)], labels


def test_three_classes() -> None:
    held = reviews(60, 1)
    model = fit_ngrams(*reviews(150, 0), held, NGramSettings(features=1024))
    logits = model.logits(held[0])
    assert logits.shape == (60, 3)
    assert (logits.argmax(1) == held[1]).all()
    weak = fit_ngrams(*reviews(150, 0), held, NGramSettings(features=1024, strengths=(1e-4,)))
    assert log_loss(logits, held[1]) < log_loss(weak.logits(held[0]), held[1]) < 1.2


def test_log_loss_of_even_logits() -> None:
    assert log_loss(np.zeros((5, 3), np.float32), np.array([0, 1, 2, 0, 1])) == pytest.approx(np.log(3))


def test_measures_of_a_hand_made_case() -> None:
    probabilities = np.array([[0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6], [0.5, 0.3, 0.2]])
    found = measure(probabilities, np.array([0, 1, 2, 1]))
    assert found["accuracy"] == 3 / 4
    assert found["macro_f1"] == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)
    # pairs in order: of class 0 3 of 3; of class 1 4 less half a tie, of 4; of class 2 3 of 3
    assert found["auc"] == pytest.approx((1 + 3.5 / 4 + 1) / 3)
    # likeliest classes by fifteenths: .6 (twice) is right, .8 is right, .5 is wrong
    assert found["calibration_error"] == pytest.approx((2 * 0.4 + 0.2 + 0.5) / 4)
