"""How many users a test needs."""

from math import ceil, sqrt

from scipy.optimize import brentq
from scipy.stats import nct, norm, t

from aisle.data.errors import InputError

MOST = 1e12
"""Users above which a test is called impossible."""


def users_for_means(
    effect: float, variance: float, *, alpha: float, power: float, ratio: float = 1.0
) -> float:
    """Users of the control arm to find a difference of means by a two-sided t-test.

    Solves `P(T > t) = power` with the noncentral t-distribution, as power.t.test of R and statsmodels'
    `tt_ind_solve_power`.

    Args:
        effect: absolute difference.
        variance: of one user's value; that of :mod:`aisle.eval.online.values` for ratios and with past
            values.
        alpha: chance of seeing a difference where there is none.
        power: chance of seeing this one.
        ratio: users of the other arm for one of control.

    Returns:
        Not rounded.

    Raises:
        InputError: an argument that cannot be, or more than 1e12 users.
    """
    _possible(effect, alpha, power, ratio)
    if not 0 < variance < float("inf"):
        raise InputError(
            "a variance above 0", f"{variance}", "check the standard deviation, or the past values"
        )

    def short(n: float) -> float:
        return power_for_means(n, effect, variance, alpha=alpha, ratio=ratio) - power

    z = norm.ppf(1 - alpha / 2) + norm.ppf(power)
    guess = z**2 * variance * (1 + 1 / ratio) / effect**2  # too small by about z^2 / 4
    if not guess < MOST:
        raise InputError(
            f"an effect that at most {MOST:g} users show",
            f"{effect:g}",
            "ask for a larger one, or a steadier metric",
        )
    least = max(2 / ratio, 2.0)  # users that a standard deviation needs in both arms
    if short(least) >= 0:
        return least
    return float(brentq(short, max(least, guess * 0.5), max(2 * least, guess * 2) + 20, xtol=1e-6))


def power_for_means(n: float, effect: float, variance: float, *, alpha: float, ratio: float = 1.0) -> float:
    """Power of a two-sided t-test of two means with `n` users of control, its wrong tail left out as in R."""
    freedom = n * (1 + ratio) - 2
    shift = abs(effect) / sqrt(variance * (1 + 1 / ratio) / n)
    if freedom > 1e5:  # normal to all digits that matter, and quick
        z = norm.ppf(1 - alpha / 2)
        return float(norm.sf(z - shift))
    return float(nct.sf(t.ppf(1 - alpha / 2, freedom), freedom, shift))


def users_for_proportions(
    control: float, other: float, *, alpha: float, power: float, ratio: float = 1.0
) -> float:
    """Users of the control arm to find a difference of proportions by a two-sided z-test.

    `((z_alpha sqrt((1 + 1 / ratio) p (1 - p)) + z_power sqrt(p1 (1 - p1) + p2 (1 - p2) / ratio)) / (p1 -
    p2))^2`, p the mean of both arms, one tail, as statsmodels' `samplesize_proportions_2indep_onetail`.
    Source: Fleiss, Levin and Paik 2003, "Statistical Methods for Rates and Proportions", section 4.2.

    Raises:
        InputError: an argument that cannot be, or more than 1e12 users.
    """
    _possible(other - control, alpha, power, ratio)
    for share in (control, other):
        if not 0 < share < 1:
            raise InputError(
                "shares of users between 0 and 1", f"{share:g}", "give 0.04 for 4%; check the effect"
            )
    pooled = (control + ratio * other) / (1 + ratio)
    null = sqrt((1 + 1 / ratio) * pooled * (1 - pooled))
    real = sqrt(control * (1 - control) + other * (1 - other) / ratio)
    z_alpha, z_power = float(norm.ppf(1 - alpha / 2)), float(norm.ppf(power))
    users = ((z_alpha * null + z_power * real) / (other - control)) ** 2
    if not users < MOST:
        raise InputError(
            f"an effect that at most {MOST:g} users show", f"{other - control:g}", "ask for a larger one"
        )
    return users


def whole(users: float) -> int:
    """The next whole number of users, rounding errors forgiven."""
    return ceil(users - 1e-6)


def _possible(effect: float, alpha: float, power: float, ratio: float) -> None:
    if effect == 0 or effect != effect:
        raise InputError(
            "an effect other than 0", f"{effect}", "say which difference would matter to the shop"
        )
    if not 0 < alpha < 0.5:
        raise InputError("an alpha between 0 and 0.5", f"{alpha:g}", "0.05 is usual")
    if not 0.5 <= power < 1:
        raise InputError("a power from 0.5 to 1", f"{power:g}", "0.8 and 0.9 are usual")
    if not 0 < ratio < float("inf"):
        raise InputError("arms that get users", f"a ratio of {ratio:g}", "give every arm a share above 0")
