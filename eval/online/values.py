"""One number a user, whose mean is the metric of an arm: means, proportions, ratios; without the past.

A difference between arms is then a difference of means whatever the metric.
"""

import numpy as np

from aisle.data.errors import InputError
from aisle.eval.online.estimate import Estimate, Floats


def ratio_values(numerators: Floats, denominators: Floats) -> Floats:
    """Values of users whose mean is `R = sum of numerators / sum of denominators`, (n_users,).

    `R + (numerator - R x denominator) / mean denominator`: their variance is that of R by the delta method,
    times n. Users are independent, and what a user views or buys several times is not.
    Source: Deng, Knoblich and Lu 2018, "Applying the Delta Method in Metric Analytics", section 3.

    Raises:
        InputError: the denominators sum to 0 or less.
    """
    mean = denominators.mean()
    if not mean > 0:
        raise InputError(
            "denominators that sum to more than 0", f"a mean of {mean:g}", "check the column of --per"
        )
    ratio = numerators.mean() / mean
    return np.asarray(ratio + (numerators - ratio * denominators) / mean)


def without_past(values: list[Floats], past: list[Floats]) -> list[Floats]:
    """Values of each arm without what past values foretell (CUPED): `y - theta (x - mean x)`.

    One theta for all arms, `sum of cov(x, y) / sum of var(x)` within arms, which is the coefficient of x
    beside the arms in a least squares fit. What a user did before the test cannot depend on the arm, so that
    the difference stays what it was, with `1 - correlation^2` of its variance.
    Source: Deng, Xu, Kohavi and Walker 2013, "Improving the Sensitivity of Online Controlled Experiments by
    Utilizing Pre-Experiment Data", section 3.

    Args:
        values: of each arm's users.
        past: of the same users.
    """
    spread = sum(((x - x.mean()) ** 2).sum() for x in past)
    if spread == 0:
        return values
    theta = sum(((x - x.mean()) * (y - y.mean())).sum() for x, y in zip(past, values, strict=True)) / spread
    centre = np.concatenate(past).mean()
    return [y - theta * (x - centre) for x, y in zip(past, values, strict=True)]


def difference(control: Floats, other: Floats) -> Estimate:
    """Mean of `other` minus mean of `control`, with variances of their own (Welch).

    As `scipy.stats.ttest_ind(equal_var=False)`, with the standard error at hand.

    Raises:
        InputError: fewer than two users in an arm.
    """
    squares = [_squared_error(arm) for arm in (control, other)]
    total = sum(squares)
    if total == 0:
        return Estimate(float(other.mean() - control.mean()), 0.0)
    parts = sum(square**2 / (len(arm) - 1) for square, arm in zip(squares, (control, other), strict=True))
    return Estimate(float(other.mean() - control.mean()), float(np.sqrt(total)), float(total**2 / parts))


def lift(control: Floats, other: Floats) -> Estimate | None:
    """Relative difference, `mean of other / mean of control - 1`; None where control's mean is 0 or less.

    By the delta method. Source: Deng et al. 2018, section 3.
    """
    below, above = float(control.mean()), float(other.mean())
    if below <= 0:
        return None
    variance = _squared_error(other) / below**2 + above**2 * _squared_error(control) / below**4
    return Estimate(above / below - 1, float(np.sqrt(variance)))


def _squared_error(arm: Floats) -> float:
    if len(arm) < 2:
        raise InputError("two users or more in every arm", f"{len(arm)}", "collect more before asking")
    return float(arm.var(ddof=1)) / len(arm)
