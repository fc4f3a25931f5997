"""How far chance alone could move a number: bootstrap intervals, paired tests, and Holm's correction.

Users are the units that are resampled: the question is what another set of such users would have shown.
(Where a model was run under several seeds, these are redrawn as well: :mod:`aisle.eval.seeds`.)
All models of a report are resampled alike (the same seed draws the same users), so that differences
between two of them are paired.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from aisle.data.progress import meter
from aisle.eval.judged import UserScores

Floats = NDArray[np.float64]

BLOCK = 1 << 22
"""Numbers in one block of resampling weights (32 MiB as float64)."""


def bootstrap_means(scores: Floats, *, resamples: int, seed: int) -> Floats:
    """Means of `scores` (n_users, n_columns) over redrawn users, float64 (resamples, n_columns).

    A resample draws n_users users with replacement. It is a row of counts, and all means of a block are one
    matrix product.
    Source: Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapter 6.
    """
    n_users = len(scores)
    means = [counts @ scores / n_users for counts in _draws(n_users, resamples, seed)]
    return np.concatenate(means)


def _draws(n_users: int, resamples: int, seed: int) -> Iterator[Floats]:
    generator = np.random.default_rng(seed)
    rows = max(1, BLOCK // n_users)
    for start in range(0, resamples, rows):
        size = min(rows, resamples - start)
        counts = np.empty((size, n_users))
        for row in counts:
            row[:] = np.bincount(generator.integers(n_users, size=n_users), minlength=n_users)
        yield counts


def interval(means: Floats, confidence: float) -> tuple[Floats, Floats]:
    """Percentile interval of bootstrap means (resamples, ...): the low and the high ends, shape (...).

    Source: Efron and Tibshirani 1993, section 13.3.
    """
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail], axis=0)
    return low, high


def flipped_sums(scores: Floats, *, permutations: int, seed: int) -> Floats:
    """Sums of `scores` (n_users, n_columns) under random signs, float64 (permutations, n_columns).

    A user's sign is the same in every column, so the difference of two columns is the sum of flipped
    differences: one product serves the tests of all pairs.
    """
    generator = np.random.default_rng(seed)
    total = scores.sum(axis=0)
    scores = scores[scores.any(axis=1)]  # signs of nothing change nothing
    n_users = max(1, len(scores))
    rows = max(1, BLOCK // n_users)
    sums = []
    with meter("testing", permutations) as done:
        for start in range(0, permutations, rows):
            size = min(rows, permutations - start)
            bits = np.frombuffer(generator.bytes(-(-size * len(scores) // 8)), np.uint8)
            flips = np.unpackbits(bits, count=size * len(scores)).reshape(size, len(scores))
            sums.append(total - 2 * (flips.astype(np.float64) @ scores))
            done.advance(size)
    return np.concatenate(sums)


def permutation_p(observed: float, flipped: UserScores) -> float:
    """Two-sided p-value of an observed sum of paired differences among its sign-flipped sums (permutations).

    `(1 + number of flips at least as far from 0) / (permutations + 1)`, never 0: the observed order is
    one of the possible ones. If the two models did the same, each user's difference would have either
    sign equally often.
    Source: Smucker, Allan and Carterette 2007, "A Comparison of Statistical Significance Tests for
    Information Retrieval Evaluation"; the added one is Phipson and Smyth 2010.
    """
    as_far = np.count_nonzero(np.abs(flipped) >= abs(observed) * (1 - 1e-9))
    return (1 + as_far) / (len(flipped) + 1)


def bootstrap_p(difference: float, means: Floats, seeds: Sequence[Floats] = ()) -> float:
    """Two-sided p-value of a difference by the spread of its bootstrap means: a paired test.

    The difference is divided by the standard deviation of `means` and held against the normal distribution
    (Efron and Tibshirani 1993, sections 12.4 and 15.4). Where seeds are few, so is what tells their part of
    that spread: Student's t takes the place of the normal distribution, with the degrees of freedom of
    Satterthwaite 1946, "An approximate distribution of estimates of variance components".

    Args:
        difference: of two models.
        means: bootstrap means of the difference, float64 (resamples); of users, and of seeds if several.
        seeds: for each of the two models its values under each seed, float64 (n_seeds).
    """
    variance = float(means.var(ddof=1))
    if variance < 1e-24:  # all resamples agree, up to rounding
        return float(abs(difference) < 1e-12)
    shares = [(values.var(ddof=1) / len(values), len(values)) for values in seeds if len(values) > 1]
    uncertain = float(sum(share**2 / (n - 1) for share, n in shares))
    freedom = variance**2 / uncertain if uncertain > 0 else np.inf
    return float(2 * student.sf(abs(difference) / np.sqrt(variance), freedom))


def holm(p_values: Floats) -> Floats:
    """p-values corrected for being many, in their order (n): reject where one is below the level.

    The i-th smallest of n is multiplied by n - i + 1, and none may be smaller than the one before.
    Source: Holm 1979, "A Simple Sequentially Rejective Multiple Test Procedure".

    >>> holm(np.array([0.04, 0.01])).tolist()
    [0.04, 0.02]
    """
    order = np.argsort(p_values, kind="stable")
    steps = p_values[order] * np.arange(len(p_values), 0, -1)
    corrected = np.empty_like(p_values)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return corrected
