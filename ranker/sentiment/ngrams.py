"""Reviews as bags of n-grams, and a logistic regression over them: what words alone say.

Beside the language model it sees every review of the training data in seconds, rare words included. N-grams
are hashed, into so many places that hardly two share one, and those in enough reviews are kept: the model is
a few arrays and no vocabulary.

Two regressions answer together, by weights that validation gives. One takes every n-gram as it is; the other
scales each by how differently the classes use it (`_telling`), as NB-SVM does: Wang and Manning 2012,
"Baselines and Bigrams", section 2.3. They err differently, and as both are linear, so is their mixture.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import normalize

from aisle.ranker.sentiment.mixture import mixed
from aisle.ranker.sentiment.settings import NGramSettings

UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\u0e00-\u0e7f]")
"""Characters of scripts that put no spaces between words: Chinese, Japanese, Thai."""

UNSPACED_SHARE = 0.2
"""Share of such characters from which on n-grams are of characters."""

TOLERANCE = 1e-5
"""Largest slope of the mean loss where the solver stops. The TF-IDF of one n-gram is small, and so are
slopes: at 1e-3 it stops after some 14 steps whatever the regularisation, far from the optimum."""

PSEUDO_REVIEWS = 2.0
"""Imagined reviews with each n-gram, of the classes by their shares: what is rare tells little. Wang and
Manning have one of each class, which makes every rare n-gram a sign of the smaller class."""


@dataclass(frozen=True)
class NGrams:
    """A multinomial logistic regression over n-grams, weighted by TF-IDF.

    Attributes:
        settings: what the n-grams are; `analyzer` is not "auto".
        columns: places that the n-grams are hashed to, int32 (features), ascending.
        idf: float32 (features).
        weights: float32 (classes, features).
        bias: float32 (classes).
    """

    settings: NGramSettings
    columns: NDArray[np.int32]
    idf: NDArray[np.float32]
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]

    def logits(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Logarithms of the classes' probabilities, up to a constant: float32 (texts, classes)."""
        counted = _only(_counts(texts, self.settings), self.columns)
        return np.asarray(_weighed(counted, self.idf) @ self.weights.T + self.bias, np.float32)


def fit_ngrams(
    texts: Sequence[str],
    labels: NDArray[np.int64],
    validation: tuple[Sequence[str], NDArray[np.int64]],
    settings: NGramSettings,
) -> NGrams:
    """Fit; strengths of the regularisation and the mixture have the lowest log loss on `validation`.

    Args:
        texts: to learn from.
        labels: class of each, 0 to classes - 1, each of which occurs.
        validation: texts and classes.
        settings: of the n-grams.
    """
    if settings.analyzer == "auto":
        settings = settings.model_copy(update={"analyzer": _analyzer(texts)})
    everywhere = _counts(texts, settings)
    columns = _common(everywhere, settings.least_reviews)
    counted = _only(everywhere, columns)
    documents = np.bincount(counted.indices, minlength=len(columns))
    idf = (np.log((1 + len(texts)) / (1 + documents)) + 1).astype(np.float32)  # as scikit-learn's default
    x = _weighed(counted, idf).astype(np.float64)
    held = _weighed(_only(_counts(validation[0], settings), columns), idf).astype(np.float64)
    telling = _telling(counted, labels)
    plain, bias = _regression(x, labels, held, validation[1], settings.strengths)
    scaled, its_bias = _regression(
        _scaled(x, telling), labels, _scaled(held, telling), validation[1], settings.strengths
    )
    scaled = scaled * telling
    (first, second), shift = mixed(held @ plain.T + bias, held @ scaled.T + its_bias, validation[1])
    weights, offset = first * plain + second * scaled, first * bias + second * its_bias + shift
    return NGrams(settings, columns, idf, weights.astype(np.float32), offset.astype(np.float32))


def _regression(
    x: csr_matrix,
    labels: NDArray[np.int64],
    held: csr_matrix,
    held_labels: NDArray[np.int64],
    strengths: Sequence[float],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights (classes, features) and bias (classes) of the strength with the lowest log loss on `held`."""
    model = LogisticRegression(max_iter=1000, tol=TOLERANCE, warm_start=True)
    fitted = []
    for strength in sorted(strengths):  # the weakest weights first: each is near the next
        model.set_params(C=strength).fit(x, labels)
        weights, bias = model.coef_.copy(), model.intercept_.copy()
        if len(weights) == 1:  # two classes: the first one's logit is 0
            weights, bias = np.concatenate([0 * weights, weights]), np.concatenate([0 * bias, bias])
        fitted.append((log_loss(held @ weights.T + bias, held_labels), weights, bias))
    return min(fitted, key=lambda found: found[0])[1:]


def _telling(counted: csr_matrix, labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """How differently the classes use each n-gram, float64 (features).

    The log-count ratio r of Wang and Manning 2012, of reviews that hold the n-gram: of each class against
    all others, and the root of their mean square. Of two classes |r|: L2 regularisation sees no sign.
    """
    truth = csr_matrix(np.eye(labels.max() + 1)[labels])
    sizes = np.bincount(labels)[:, None].astype(np.float64)
    shares = sizes / len(labels)
    holds = np.asarray((truth.T @ counted.sign()).todense())
    inside = (holds + PSEUDO_REVIEWS * shares) / sizes
    outside = (holds.sum(0) - holds + PSEUDO_REVIEWS * (1 - shares)) / (len(labels) - sizes)
    return np.asarray(np.sqrt((np.log(inside / outside) ** 2).mean(axis=0)))


def _common(counted: csr_matrix, least: int) -> NDArray[np.int32]:
    """Columns of n-grams that occur in at least `least` reviews, int32, ascending; one if there is none."""
    columns, documents = np.unique(counted.indices, return_counts=True)
    common = columns[documents >= least]
    return np.asarray(common if len(common) else [0], np.int32)


def _only(counted: csr_matrix, columns: NDArray[np.int32]) -> csr_matrix:
    """The columns named, in their order, csr (texts, columns)."""
    place = np.minimum(np.searchsorted(columns, counted.indices), len(columns) - 1)
    known = columns[place] == counted.indices
    ends = np.concatenate([[0], np.cumsum(known)])[counted.indptr]
    return csr_matrix((counted.data[known], place[known], ends), shape=(counted.shape[0], len(columns)))


def _analyzer(texts: Sequence[str]) -> Literal["word", "char"]:
    sample = "".join(text[:200] for text in texts[:1000])
    return "char" if len(UNSPACED.findall(sample)) > UNSPACED_SHARE * max(1, len(sample)) else "word"


def _counts(texts: Sequence[str], settings: NGramSettings) -> csr_matrix:
    """1 + log of how often each n-gram occurs, csr (texts, features)."""
    longest = settings.longest_word if settings.analyzer == "word" else settings.longest_char
    hashing = HashingVectorizer(
        analyzer=settings.analyzer,
        ngram_range=(1, longest),
        n_features=settings.features,
        alternate_sign=False,
        norm=None,
        dtype=np.float32,
        token_pattern=r"(?u)\b\w+\b" if settings.analyzer == "word" else None,
    )
    counted: csr_matrix = hashing.transform(texts)
    counted.data = 1 + np.log(counted.data)
    return counted


def _weighed(counted: csr_matrix, idf: NDArray[np.float32]) -> csr_matrix:
    return normalize(_scaled(counted, idf), copy=False)  # type: ignore[no-any-return]


def _scaled(x: csr_matrix, factors: NDArray[np.floating]) -> csr_matrix:
    """Columns times their factors."""
    return csr_matrix((x.data * factors[x.indices], x.indices, x.indptr), shape=x.shape)


def log_loss(logits: NDArray[np.floating], labels: NDArray[np.int64]) -> float:
    """Mean of -log(probability of the true class), in nats; `logits` (n, classes)."""
    exact = logits.astype(np.float64)
    chosen = np.take_along_axis(exact, labels[:, None], 1)[:, 0]
    return float((np.logaddexp.reduce(exact, axis=1) - chosen).mean())
