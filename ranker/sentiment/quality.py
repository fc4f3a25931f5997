"""How good a classifier of reviews is."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score

from aisle.ranker.calibration import expected_calibration_error

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]


def accuracy(probabilities: Floats, labels: Labels) -> float:
    """Share of reviews whose likeliest class is the true one."""
    return float(accuracy_score(labels, probabilities.argmax(1)))


def macro_f1(probabilities: Floats, labels: Labels) -> float:
    """Mean over the classes of 2 P R / (P + R), of the likeliest class; 0 for one that is never found."""
    classes = np.arange(probabilities.shape[1])
    return float(f1_score(labels, probabilities.argmax(1), labels=classes, average="macro", zero_division=0))


def auc(probabilities: Floats, labels: Labels) -> float:
    """Area under the ROC curve: pairs of reviews in the right order; mean over classes against the rest.

    Classes that do not occur, or alone do, have none; NaN where that leaves no class.
    """
    truth = labels[:, None] == np.arange(probabilities.shape[1])
    told = [column for column in range(truth.shape[1]) if 0 < truth[:, column].sum() < len(labels)]
    if probabilities.shape[1] == 2:
        told = told[-1:]
    found = [roc_auc_score(truth[:, column], probabilities[:, column]) for column in told]
    return float(np.mean(found)) if found else float("nan")


def calibration_error(probabilities: Floats, labels: Labels) -> float:
    """Expected calibration error: of the second class where there are two, else of the likeliest class."""
    if probabilities.shape[1] == 2:
        return expected_calibration_error(probabilities[:, 1], labels)
    right = probabilities.argmax(1) == labels
    return expected_calibration_error(probabilities.max(1), right)


MEASURES: dict[str, Callable[[Floats, Labels], float]] = {
    "accuracy": accuracy,
    "macro_f1": macro_f1,
    "auc": auc,
    "calibration_error": calibration_error,
}
"""Each takes probabilities (n, classes) and true classes (n)."""


def measure(probabilities: Floats, labels: Labels) -> dict[str, float]:
    """All of `MEASURES`."""
    return {name: of(probabilities, labels) for name, of in MEASURES.items()}
