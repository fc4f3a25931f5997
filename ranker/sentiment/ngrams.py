"""Reviews as bags of n-grams, and a logistic regression over them: what words alone say.

Beside the language model it sees every review of the training data in seconds, rare words included. N-grams
are hashed, so that the model is two arrays and no vocabulary.
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

from aisle.ranker.sentiment.settings import NGramSettings

UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\u0e00-\u0e7f]")
"""Characters of scripts that put no spaces between words: Chinese, Japanese, Thai."""

UNSPACED_SHARE = 0.2
"""Share of such characters from which on n-grams are of characters."""


@dataclass(frozen=True)
class NGrams:
    """A multinomial logistic regression over hashed n-grams, weighted by TF-IDF.

    Attributes:
        settings: what the n-grams are; `analyzer` is not "auto".
        idf: float32 (features).
        weights: float32 (classes, features).
        bias: float32 (classes).
    """

    settings: NGramSettings
    idf: NDArray[np.float32]
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]

    def logits(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Logarithms of the classes' probabilities, up to a constant: float32 (texts, classes)."""
        counted = _counts(texts, self.settings)
        return np.asarray(_weighed(counted, self.idf) @ self.weights.T + self.bias, np.float32)


def fit_ngrams(
    texts: Sequence[str],
    labels: NDArray[np.int64],
    validation: tuple[Sequence[str], NDArray[np.int64]],
    settings: NGramSettings,
) -> NGrams:
    """Fit; the strength of the regularisation is the one with the lowest log loss on `validation`.

    Args:
        texts: to learn from.
        labels: class of each, 0 to classes - 1, each of which occurs.
        validation: texts and classes.
        settings: of the n-grams.
    """
    if settings.analyzer == "auto":
        settings = settings.model_copy(update={"analyzer": _analyzer(texts)})
    counted = _counts(texts, settings)
    documents = np.bincount(counted.indices, minlength=counted.shape[1])
    idf = (np.log((1 + len(texts)) / (1 + documents)) + 1).astype(np.float32)  # as scikit-learn's default
    x, held = _weighed(counted, idf), validation[1]
    fitted = []
    for strength in settings.strengths:
        model = LogisticRegression(C=strength, max_iter=300, tol=1e-3).fit(x, labels)
        weights, bias = model.coef_.astype(np.float32), model.intercept_.astype(np.float32)
        if len(weights) == 1:  # two classes: the first one's logit is 0
            weights, bias = np.concatenate([0 * weights, weights]), np.concatenate([0 * bias, bias])
        fitted.append(NGrams(settings, idf, weights, bias))
    return min(fitted, key=lambda model: log_loss(model.logits(validation[0]), held))


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
    weighed = counted.copy()
    weighed.data = weighed.data * idf[weighed.indices]
    return normalize(weighed, copy=False)  # type: ignore[no-any-return]


def log_loss(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Mean of -log(probability of the true class), in nats; `logits` (n, classes)."""
    exact = logits.astype(np.float64)
    chosen = np.take_along_axis(exact, labels[:, None], 1)[:, 0]
    return float((np.logaddexp.reduce(exact, axis=1) - chosen).mean())
