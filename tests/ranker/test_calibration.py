"""Calibration: against closed forms, against scikit-learn, and what it refuses."""

from math import exp

import numpy as np
import polars as pl
import pytest
from pydantic import BaseModel
from sklearn.isotonic import IsotonicRegression

from aisle.data.errors import InputError
from aisle.ranker.calibration import (
    Calibration,
    expected_calibration_error,
    fit_isotonic,
    fit_platt,
    reliability,
)


def planted(count: int = 4000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores whose true probabilities are those of a logistic curve with slope 2 and intercept -1."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, 1.5, count)
    return scores, (rng.random(count) < 1 / (1 + np.exp(1 - 2 * scores))).astype(int)


def test_platt_finds_the_planted_curve() -> None:
    fitted = fit_platt(*planted())
    assert fitted.slope == pytest.approx(2, rel=0.1)
    assert fitted.intercept == pytest.approx(-1, rel=0.1)
    assert fitted([0.0])[0] == pytest.approx(1 / (1 + exp(-fitted.intercept)))


def test_platt_is_not_certain_of_separable_scores() -> None:
    fitted = fit_platt([-1.0, -1.0, 1.0, 1.0], [0, 0, 1, 1])
    assert fitted([-1.0, 1.0]) == pytest.approx([1 / 4, 3 / 4], abs=1e-4)  # (n1 + 1) / (n1 + 2), 1 / (n0 + 2)


def test_platt_needs_both_labels() -> None:
    with pytest.raises(InputError, match="both kinds"):
        fit_platt([1.0, 2.0], [1, 1])


def test_isotonic_equals_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    scores = rng.integers(0, 30, 500).astype(float)
    labels = (rng.random(500) < scores / 40).astype(int)
    oracle = IsotonicRegression(out_of_bounds="clip").fit(scores, labels)
    asked = np.linspace(-3, 33, 200)
    assert fit_isotonic(scores, labels)(asked) == pytest.approx(oracle.predict(asked), abs=1e-9)


def test_isotonic_never_falls_and_evens_out_what_contradicts_the_order() -> None:
    fitted = fit_isotonic([1.0, 2.0, 3.0, 4.0], [0, 1, 0, 1])
    assert fitted([1.0, 2.0, 3.0, 4.0, 99.0]).tolist() == [0, 1 / 2, 1 / 2, 1, 1]


@pytest.mark.parametrize("fit", [fit_platt, fit_isotonic])
def test_a_calibration_lowers_the_error_on_other_examples(fit) -> None:
    fitted = fit(*planted(seed=1))
    scores, labels = planted(seed=2)
    raw = 1 / (1 + np.exp(-scores))
    assert expected_calibration_error(fitted(scores), labels) < 0.03
    assert expected_calibration_error(raw, labels) > 0.06


@pytest.mark.parametrize("fit", [fit_platt, fit_isotonic])
def test_a_calibration_is_a_field_that_comes_back(fit) -> None:
    class Holder(BaseModel):
        calibration: Calibration

    fitted = fit(*planted(200))
    again = Holder.model_validate_json(Holder(calibration=fitted).model_dump_json()).calibration
    assert again == fitted


def test_reliability_of_a_hand_made_case() -> None:
    found = reliability([0.1, 0.3, 0.5, 0.9, 1.0], [0, 1, 1, 1, 0], bins=2)
    assert found.schema["count"] == pl.Int64
    assert found.rows() == [
        (0.0, 0.5, 2, pytest.approx((0.1 + 0.3) / 2), 1 / 2),
        (0.5, 1.0, 3, pytest.approx((0.5 + 0.9 + 1.0) / 3), pytest.approx(2 / 3)),
    ]
    expected = (2 * abs(0.2 - 0.5) + 3 * abs(0.8 - 2 / 3)) / 5
    assert expected_calibration_error([0.1, 0.3, 0.5, 0.9, 1.0], [0, 1, 1, 1, 0], 2) == pytest.approx(
        expected
    )


@pytest.mark.parametrize(
    ("scores", "labels", "found"),
    [([], [], "(0,)"), ([0.5], [0, 1], "(1,)"), ([np.nan], [1], "1 others"), ([0.5], [2], "2")],
)
def test_bad_examples_are_refused(scores, labels, found) -> None:
    with pytest.raises(InputError) as refused:
        fit_isotonic(scores, labels)
    assert found in refused.value.found


def test_probabilities_beyond_the_range_are_refused() -> None:
    with pytest.raises(InputError, match="from 0 to 1"):
        reliability([1.5], [1])
