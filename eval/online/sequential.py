"""Intervals of a running test that hold at every look, however often somebody looks.

A mixture of likelihood ratios against all effects, which are normal around 0 with a variance that is fixed
before the test, is
a martingale if there is no effect: it passes 1 / alpha ever with probability alpha at most (Ville). Inverted
    it gives
an interval for the effect. With plugged-in variances this holds for large samples.
Sources: Robbins 1970, "Statistical Methods Related to the Law of the Iterated Logarithm"; Johari, Koomen,
Pekelis and Walsh 2022, "Always Valid Inference: Continuous Monitoring of A/B Tests", section 5; Waudby-Smith,
Arbour, Sinha, Kennedy and Ramdas 2024, "Time-uniform Central Limit Theory and Asymptotic Confidence
Sequences", theorem 2.2, whose rho^2 is mixture / (n x variance) here.
"""

import numpy as np
from scipy.special import lambertw
from scipy.stats import norm

from aisle.eval.online.estimate import Estimate

FIRST_LOOK = 500
"""Users of the smaller arm from which on intervals are given: the theory is about large samples."""


def mixture_for(variance: float, alpha: float) -> float:
    """Variance of the mixture that makes the interval narrowest when the estimate has this variance.

    `variance x (-W(-alpha^2 / e) - 1)` with the lower branch of Lambert's W. Any other number is valid, too,
    if it was chosen before the test.
    Source: Waudby-Smith et al. 2024, appendix on the choice of rho.
    """
    return variance * float(-lambertw(-(alpha**2) / np.e, -1).real - 1)


def always_valid(effect: Estimate, mixture: float, alpha: float) -> tuple[float, float]:
    """Interval that holds the truth at all looks together with probability 1 - alpha.

    `value +- sqrt(v (v + m) / m x log((v + m) / (v alpha^2)))`, v the squared standard error and m the
    mixture.
    """
    radius = float(always_valid_radius(np.asarray(effect.error**2), mixture, alpha))
    return effect.value - radius, effect.value + radius


def always_valid_radius(variance: np.ndarray, mixture: float, alpha: float) -> np.ndarray:
    """Half the width of the interval, for squared standard errors of any shape."""
    whole = variance + mixture
    with np.errstate(divide="ignore", invalid="ignore"):
        radius = np.sqrt(variance * whole / mixture * np.log(whole / (variance * alpha**2)))
    return np.where(variance > 0, radius, 0.0)


def always_valid_p(effect: Estimate, mixture: float) -> float:
    """p-value at this look: the smallest alpha whose interval leaves out 0, at most 1.

    The smallest over all looks so far is valid, too.
    """
    variance = effect.error**2
    if variance == 0:
        return 1.0 if effect.value == 0 else 0.0
    whole = variance + mixture
    log_p = 0.5 * np.log(whole / variance) - effect.value**2 * mixture / (2 * variance * whole)
    return float(np.exp(min(0.0, log_p)))


def users_ratio(alpha: float, power: float) -> float:
    """How many times as many users a test that may be looked at any time needs for this power.

    Its interval is `z` standard errors wide to either side when it is narrowest, where one look has the
    normal quantile; looks before the last only add to the power.
    """
    share = mixture_for(1.0, alpha)
    radius = float(always_valid_radius(np.asarray(1.0), share, alpha))
    reach = float(norm.ppf(power))
    return ((radius + reach) / (float(norm.ppf(1 - alpha / 2)) + reach)) ** 2
