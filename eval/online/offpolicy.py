"""What a policy would have earned, from the log of another one: IPS, SNIPS and doubly robust estimates.

A request is worth the sum of its rewards over slots. What a candidate earns in a slot is taken to depend on
the request, the slot and the candidate alone, not on its neighbours (the item-position model of Li,
Abbasi-Yadkori, Kveton, Muthukrishnan, Vinay and Wen 2018, "Offline Evaluation of Ranking Policies with Click
Models").
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from aisle.data.errors import InputError
from aisle.eval.online.estimate import Estimate, Floats, mean_of_units
from aisle.eval.online.logs import has_candidates
from aisle.eval.online.rewards import expected_rewards, folds_of

FEW = 100
"""Effective decisions below which an estimate is not to be trusted: its interval is too narrow."""

FAR = 4.0
"""Standard errors that the mean weight may be from 1; further away, probabilities are wrong."""


@dataclass(frozen=True)
class PolicyValue:
    """What one estimator says, per request.

    Attributes:
        value: of the other policy.
        lift: what it is above that of the policy that wrote the log, paired.
    """

    value: Estimate
    lift: Estimate


@dataclass(frozen=True)
class OffPolicy:
    """All estimates from one log.

    Attributes:
        requests, decisions, users: how much the log holds; a decision is a slot of a request.
        logged: what the policy of the log earned.
        estimates: by estimator: `ips`, `snips`, and `dr` where candidates or expectations are known.
        effective: decisions that equal weights would need for the same precision, `(sum w)^2 / sum w^2`.
        mean_weight: 1 in expectation.
        largest_weight: of one decision.
        clipped: decisions whose weight was cut.
        warnings: what speaks against trusting the estimates.
    """

    requests: int
    decisions: int
    users: int
    logged: Estimate
    estimates: dict[str, PolicyValue]
    effective: float
    mean_weight: Estimate
    largest_weight: float
    clipped: int
    warnings: list[str]


@dataclass(frozen=True)
class Decisions:
    """A log as arrays, one number a decision, in the order of requests and slots.

    Attributes:
        weights: target / propensity of what was shown.
        rewards: of what was shown.
        slots, requests, users: codes from 0.
        expected: reward that a model expects of what was shown; None if no model is known.
        baseline: that which it expects of the other policy, `sum over candidates of target x expected`.
    """

    weights: Floats
    rewards: Floats
    slots: np.ndarray
    requests: np.ndarray
    users: np.ndarray
    expected: Floats | None = None
    baseline: Floats | None = None


def decisions_of(log: pl.DataFrame, *, seed: int) -> Decisions:
    """A checked log with `target` as arrays; rewards are expected of its candidates, if it has them all."""
    slots, requests, users, items = (
        log[name].rank("dense").to_numpy().astype(np.int64) - 1
        for name in ("slot", "request_id", "user_id", "item_id")
    )
    shown = log["shown"].to_numpy()
    propensity, target, rewards = (log[name].to_numpy() for name in ("propensity", "target", "reward"))
    expected = baseline = None
    if has_candidates(log):
        if "expected" in log.columns:
            expected = log["expected"].to_numpy()
        else:
            folds = folds_of(int(users.max()) + 1, seed=seed)[users]
            expected = expected_rewards(slots, items, shown.astype(np.float64), rewards, folds)
        decision = log.select(pl.struct("request_id", "slot").rle_id()).to_series().to_numpy()
        baseline = np.bincount(decision, target * expected).astype(np.float64)
        expected = expected[shown]
    return Decisions(
        weights=target[shown] / propensity[shown],
        rewards=rewards[shown],
        slots=slots[shown],
        requests=requests[shown],
        users=users[shown],
        expected=expected,
        baseline=baseline,
    )


def off_policy(log: pl.DataFrame, *, clip: float | None = None, seed: int = 0) -> OffPolicy:
    """Estimates of the policy whose probabilities are the column `target` of a log.

    Standard errors count a user once (a request, where the log knows no users).

    Args:
        log: as :func:`aisle.eval.online.logs.check_log` returns it, with `target`.
        clip: weights above this are cut to it, which trades variance for a bias towards less; None cuts
            nothing.
        seed: of the parts of users on which expected rewards are fitted, where the log brings none.

    Raises:
        InputError: no `target`, fewer than two users, no weight above 0, or `clip` is not above 0.
    """
    if "target" not in log.columns:
        raise InputError(
            "a policy to estimate", "a log without the column `target`", "add it, or name a run with --run"
        )
    return estimated(decisions_of(log, seed=seed), clip=clip)


def estimated(decisions: Decisions, *, clip: float | None = None) -> OffPolicy:
    """Estimates from decisions as arrays: see :func:`off_policy`."""
    if clip is not None and not clip > 0:
        raise InputError("a largest weight above 0", f"{clip}", "leave it out to cut nothing")
    weights = decisions.weights if clip is None else np.minimum(decisions.weights, clip)
    if not weights.any():
        raise InputError(
            "a policy that would have shown, now and then, what the log shows",
            "no decision in common",
            "the log says nothing of it: let the shop explore more",
        )
    logged = decisions.rewards
    contributions = {"ips": ips(weights, logged), "snips": snips(weights, decisions)}
    if decisions.expected is not None and decisions.baseline is not None:
        contributions["dr"] = doubly_robust(weights, logged, decisions.expected, decisions.baseline)
    found = OffPolicy(
        requests=int(decisions.requests.max()) + 1,
        decisions=len(weights),
        users=int(decisions.users.max()) + 1,
        logged=_mean(logged, decisions),
        estimates={
            name: PolicyValue(_mean(one, decisions), _mean(one - logged, decisions))
            for name, one in contributions.items()
        },
        effective=effective_size(weights),
        mean_weight=_mean(weights, decisions, per_request=False),
        largest_weight=float(weights.max()),
        clipped=int(np.count_nonzero(weights < decisions.weights)),
        warnings=[],
    )
    found.warnings.extend(_warnings(found))
    return found


def ips(weights: Floats, rewards: Floats) -> Floats:
    """Inverse propensity scoring: `w r`, (n_decisions,); unbiased.

    Source: Horvitz and Thompson 1952; for policies Precup, Sutton and Singh 2000.
    """
    return weights * rewards


def snips(weights: Floats, decisions: Decisions) -> Floats:
    """Self-normalised IPS: what each decision adds to `V = sum w r / sum w` of its slot, (n_decisions,).

    `V + w (r - V) / mean w`, whose mean is V and whose spread is V's to first order (delta method). Biased by
    1 / n, and steadier than IPS; the same when a constant is added to all rewards.
    Source: Swaminathan and Joachims 2015, "The Self-Normalized Estimator for Counterfactual Learning".
    """
    decided = np.bincount(decisions.slots)
    total = np.bincount(decisions.slots, weights)
    earned = np.bincount(decisions.slots, weights * decisions.rewards)
    value = np.divide(earned, total, out=np.zeros_like(earned), where=total > 0)[decisions.slots]
    share = np.divide(decided, total, out=np.zeros_like(total), where=total > 0)[decisions.slots]
    return np.asarray(value + weights * (decisions.rewards - value) * share)


def doubly_robust(weights: Floats, rewards: Floats, expected: Floats, baseline: Floats) -> Floats:
    """Doubly robust: `sum over candidates of target x expected, + w (r - expected)`, (n_decisions,).

    Unbiased if the propensities are right, or else if the expectations are.
    Source: Dudík, Langford and Li 2011, "Doubly Robust Policy Evaluation and Learning", equation 1.
    """
    return baseline + weights * (rewards - expected)


def effective_size(weights: Floats) -> float:
    """Effective sample size, `(sum w)^2 / sum w^2`: n for equal weights, 1 for a single one.

    Source: Kong 1992; Owen 2013, "Monte Carlo theory, methods and examples", section 9.3.

    >>> effective_size(np.array([2.0, 2.0, 0.0, 0.0]))
    2.0
    """
    return float(weights.sum() ** 2 / (weights**2).sum())


def _mean(contributions: Floats, decisions: Decisions, *, per_request: bool = True) -> Estimate:
    """Mean per request (or per decision), users as the independent units."""
    users = decisions.users
    totals = np.bincount(users, contributions).astype(np.float64)
    if per_request:
        first = np.unique(decisions.requests, return_index=True)[1]
        users = users[first]
    return mean_of_units(totals, np.bincount(users).astype(np.float64))


def _warnings(found: OffPolicy) -> list[str]:
    said = []
    weight = found.mean_weight
    if found.effective < FEW:
        said.append(
            f"only {found.effective:.0f} effective decisions of {found.decisions:,}: the policies differ "
            "too much for this log, "
            "and the intervals are too narrow"
        )
    if not found.clipped and abs(weight.value - 1) > FAR * weight.error:
        said.append(
            f"the mean weight is {weight.value:.3f}, {abs(weight.value - 1) / weight.error:.0f} standard "
            "errors from 1: "
            "propensities or targets are wrong"
        )
    if found.clipped:
        said.append(
            f"{found.clipped:,} weights were cut: what is estimated is nearer to the policy of the log"
        )
    if "dr" not in found.estimates:
        said.append("no doubly robust estimate: it needs candidates that were not shown")
    return said
