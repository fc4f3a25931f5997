"""Scores to probabilities, and how far probabilities are from what happens.

Two calibrations, both fitted on examples that the scores were not learned from: Platt's, a logistic curve of
two numbers, for few examples; isotonic, a staircase that never falls, for many.
"""

from typing import Annotated, Literal

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy.optimize import isotonic_regression, minimize
from scipy.special import expit

from aisle.data.errors import InputError

Floats = NDArray[np.float64]

BINS = 15
"""Bins of a calibration error, as in Guo et al. 2017."""


class Platt(BaseModel):
    """probability = 1 / (1 + exp(-(slope * score + intercept)))."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["platt"] = "platt"
    slope: float
    intercept: float

    def __call__(self, scores: ArrayLike) -> Floats:
        """Probabilities of `scores`, float64 of the same shape."""
        return np.asarray(expit(self.slope * np.asarray(scores, np.float64) + self.intercept))


class Isotonic(BaseModel):
    """Probability between the steps of a staircase, on straight lines; beyond its ends, that of the end."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["isotonic"] = "isotonic"
    scores: tuple[float, ...] = Field(min_length=1, description="rising")
    probabilities: tuple[float, ...] = Field(min_length=1, description="never falling, one for each score")

    def __call__(self, scores: ArrayLike) -> Floats:
        """Probabilities of `scores`, float64 of the same shape."""
        return np.asarray(np.interp(np.asarray(scores, np.float64), self.scores, self.probabilities))


Calibration = Annotated[Platt | Isotonic, Field(discriminator="kind")]
"""A calibration, as a field of a pydantic model."""


def fit_platt(scores: ArrayLike, labels: ArrayLike) -> Platt:
    """Fit by maximum likelihood against labels drawn a little towards each other.

    The targets are (n1 + 1) / (n1 + 2) and 1 / (n0 + 2) in place of 1 and 0, so that separable scores do not
    end in certainty.
    Source: Platt 1999, "Probabilistic Outputs for Support Vector Machines", section 2.2.

    Args:
        scores: float (n), higher for label 1.
        labels: 0 or 1 (n).

    Raises:
        InputError: as in :func:`checked`, or only one of the two labels occurs.
    """
    found, truth = checked(scores, labels)
    ones = truth.sum()
    zeros = len(truth) - ones
    if not ones or not zeros:
        raise InputError(
            "labels of both kinds to calibrate on", f"{len(truth)} of one kind", "give more examples"
        )
    targets = np.where(truth == 1, (ones + 1) / (ones + 2), 1 / (zeros + 2))
    centre, scale = found.mean(), found.std() or 1.0
    x = (found - centre) / scale

    def loss(line: Floats) -> tuple[float, Floats]:
        z = line[0] * x + line[1]
        residual = expit(z) - targets
        gradient = np.array([residual @ x, residual.sum()]) / len(x)
        return float((np.logaddexp(0, z) - targets * z).mean()), gradient

    slope, intercept = minimize(loss, np.array([1.0, 0.0]), jac=True, method="BFGS").x
    return Platt(slope=slope / scale, intercept=intercept - slope * centre / scale)


def fit_isotonic(scores: ArrayLike, labels: ArrayLike) -> Isotonic:
    """Fit the never falling staircase of least squares; equal scores have one probability.

    Source: Zadrozny and Elkan 2002, "Transforming Classifier Scores into Accurate Multiclass Probability
    Estimates", section 3.2.

    Args:
        scores: float (n), higher for label 1.
        labels: 0 or 1 (n).

    Raises:
        InputError: as in :func:`checked`.
    """
    found, truth = checked(scores, labels)
    distinct, place, counts = np.unique(found, return_inverse=True, return_counts=True)
    means = np.bincount(place, truth) / counts
    steps = isotonic_regression(means, weights=counts).x
    ends = np.ones(len(steps), bool)  # both ends of every step say all
    ends[1:-1] = (steps[1:-1] != steps[:-2]) | (steps[1:-1] != steps[2:])
    return Isotonic(scores=tuple(distinct[ends].tolist()), probabilities=tuple(steps[ends].tolist()))


def reliability(probabilities: ArrayLike, labels: ArrayLike, bins: int = BINS) -> pl.DataFrame:
    """What was foretold and what happened, by equally wide bins of the probability.

    Args:
        probabilities: of label 1, float (n), 0 to 1.
        labels: 0 or 1 (n).
        bins: of the range 0 to 1; a probability on a border is in the upper one.

    Returns:
        A row for each bin that is not empty: low, high, predicted (mean probability), observed (share of
        label 1), Float64; count, Int64.

    Raises:
        InputError: as in :func:`checked`, or a probability is outside 0 to 1.
    """
    found, truth = checked(probabilities, labels)
    if found.min() < 0 or found.max() > 1:
        raise InputError(
            "probabilities from 0 to 1", f"{found.min():g} to {found.max():g}", "calibrate first"
        )
    which = np.minimum((found * bins).astype(np.int64), bins - 1)
    table = pl.DataFrame({"bin": which, "probability": found, "label": truth})
    return (
        table.group_by("bin")
        .agg(count=pl.len().cast(pl.Int64), predicted=pl.mean("probability"), observed=pl.mean("label"))
        .sort("bin")
        .select(
            low=pl.col("bin") / bins,
            high=(pl.col("bin") + 1) / bins,
            count="count",
            predicted="predicted",
            observed="observed",
        )
    )


def expected_calibration_error(probabilities: ArrayLike, labels: ArrayLike, bins: int = BINS) -> float:
    """Mean distance of predicted and observed over the bins of :func:`reliability`, weighted by their counts.

    Source: Naeini, Cooper and Hauskrecht 2015; with 15 bins as in Guo et al. 2017, "On Calibration of Modern
    Neural Networks", equation 3; there for the probability of the likeliest class, here for that of label 1.

    >>> expected_calibration_error([0.9, 0.9, 0.1, 0.1], [1, 0, 0, 0])  # too high by .4, and by .1
    0.25
    """
    table = reliability(probabilities, labels, bins)
    distance = (table["predicted"] - table["observed"]).abs().to_numpy()
    return float(np.average(distance, weights=table["count"].to_numpy()))


def checked(scores: ArrayLike, labels: ArrayLike) -> tuple[Floats, Floats]:
    """Both as float64 (n).

    Raises:
        InputError: there are none, their numbers differ, a score is not finite, or a label is not 0 or 1.
    """
    found, truth = np.asarray(scores, np.float64), np.asarray(labels, np.float64)
    if found.ndim != 1 or found.shape != truth.shape or not len(found):
        raise InputError(
            "as many scores as labels, at least one", f"{found.shape} and {truth.shape}", "pair them"
        )
    if not np.isfinite(found).all():
        raise InputError("finite scores", f"{np.count_nonzero(~np.isfinite(found))} others", "leave them out")
    if not np.isin(truth, (0, 1)).all():
        raise InputError("labels 0 and 1", f"{truth[~np.isin(truth, (0, 1))][0]:g}", "map them to 0 and 1")
    return found, truth
