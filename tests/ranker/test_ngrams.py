"""N-grams of reviews with more than two classes, and the measures of such classifiers."""

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from aisle.ranker.sentiment.ngrams import fit_ngrams, log_loss
from aisle.ranker.sentiment.quality import auc, measure
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


def spoken(count: int, seed: int) -> tuple[list[str], np.ndarray]:
    """Reviews of frequent and rare words, a tenth of them negative, as the sum of what their words say."""
    vocabulary = 2000
    says = np.random.default_rng(0).normal(size=vocabulary)
    frequency = 1 / np.arange(5, 5 + vocabulary)
    rng = np.random.default_rng(seed)
    words = rng.choice(vocabulary, (count, 30), p=frequency / frequency.sum())
    pleased = says[words].sum(axis=1) + rng.normal(0, 2, count)
    return [" ".join(f"w{word}" for word in row) for row in words], (pleased > -7.5).astype(np.int64)


def test_better_than_tfidf_and_logistic_regression() -> None:
    learned, held, test = spoken(3000, 1), spoken(400, 2), spoken(3000, 3)
    words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    x = words.fit_transform(learned[0])
    rivals = [LogisticRegression(C=c, max_iter=500).fit(x, learned[1]) for c in (1, 3, 10, 30, 100)]
    logs = [[rival.predict_log_proba(words.transform(part[0])) for rival in rivals] for part in (held, test)]
    rival = logs[1][int(np.argmin([log_loss(each, held[1]) for each in logs[0]]))]
    ours = log_softmax(fit_ngrams(*learned, held, NGramSettings()).logits(test[0]).astype(np.float64), axis=1)
    assert auc(np.exp(ours), test[1]) > auc(np.exp(rival), test[1])
    assert log_loss(ours, test[1]) < log_loss(rival, test[1])


def test_rare_ngrams_are_left_out() -> None:
    texts, labels = reviews(150, 0)
    once = [f"{text} number{row}" for row, text in enumerate(texts)]
    with_them, without = (
        fit_ngrams(once, labels, reviews(60, 1), NGramSettings(least_reviews=least)) for least in (1, 2)
    )
    assert len(with_them.columns) - len(without.columns) > 150
    assert without.logits(["the cup number7"]) == pytest.approx(without.logits(["the cup number8"]))


def test_texts_without_ngrams_have_the_shares_of_the_classes() -> None:
    labels = np.array([0, 1, 1, 1] * 50)
    model = fit_ngrams(["!!!"] * 200, labels, (["?"] * 200, labels), NGramSettings())
    assert np.exp(log_softmax(model.logits(["!"]), axis=1)) == pytest.approx(np.array([[1, 3]]) / 4, abs=0.01)


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
