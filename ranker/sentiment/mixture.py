"""Two models of the same classes in one calibrated answer."""

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy.optimize import minimize
from scipy.special import softmax

Floats = NDArray[np.floating]


class Mixture(BaseModel):
    """logits = language_model * its logits + ngrams * theirs + bias; probabilities are their softmax.

    Fitted on reviews that neither has learned its weights from, so that the answer is calibrated: it is
    the scaling of Guo et al. 2017 ("On Calibration of Modern Neural Networks", section 4.2), of two at once.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    language_model: float
    ngrams: float
    bias: tuple[float, ...] = Field(description="of each class")

    def probabilities(
        self, language_model: NDArray[np.float32], ngrams: NDArray[np.float32]
    ) -> NDArray[np.float64]:
        """Of logits (n, classes) of both."""
        logits = self.language_model * language_model.astype(np.float64) + self.ngrams * ngrams
        return np.asarray(softmax(logits + np.array(self.bias), axis=1))


def fit_mixture(language_model: Floats, ngrams: Floats, labels: NDArray[np.int64]) -> Mixture:
    """The mixture of least log loss; each weight starts at one half and is held there by one review's worth.

    Args:
        language_model: logits (n, classes).
        ngrams: logits (n, classes).
        labels: true classes (n).
    """
    weights, bias = mixed(language_model, ngrams, labels)
    return Mixture(language_model=weights[0], ngrams=weights[1], bias=tuple(bias.tolist()))


def mixed(
    first: Floats, second: Floats, labels: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights of two models (2) and a bias (classes), as :func:`fit_mixture` finds them.

    Args:
        first: logits (n, classes).
        second: logits (n, classes).
        labels: true classes (n).
    """
    both = np.stack([first, second]).astype(np.float64)
    truth = np.eye(both.shape[2])[labels]

    def loss(numbers: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights, bias = numbers[:2], numbers[2:]
        logits = np.tensordot(weights, both, 1) + bias
        logits -= logits.max(axis=1, keepdims=True)
        residual = softmax(logits, axis=1) - truth
        value = (np.log(np.exp(logits).sum(1)) - (logits * truth).sum(1)).sum()
        pull = np.concatenate([weights - 0.5, bias])
        slope = np.concatenate([(both * residual).sum((1, 2)), residual.sum(0)])
        return (value + (pull**2).sum() / 2) / len(labels), (slope + pull) / len(labels)

    start = np.concatenate([[0.5, 0.5], np.zeros(both.shape[2])])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 500}).x
    return found[:2], found[2:]
