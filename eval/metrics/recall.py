"""Recall: how much of what a user wanted is among the first k."""

import numpy as np

from aisle.eval.judged import Judged, UserScores


def recall(judged: Judged, k: int) -> UserScores:
    """`recall@k = |relevant in the first k| / |relevant|`, float64 (n_users).

    The denominator is all relevant items, as in trec_eval (`recall_k`) and ir_measures (`R@k`); where a user
    has more than k of them the best possible value is below 1. The other variant is :func:`recall_capped`.
    """
    return judged.per_relevant(judged.hits(k))


def recall_capped(judged: Judged, k: int) -> UserScores:
    """`|relevant in the first k| / min(k, |relevant|)`, float64 (n_users): 1 is always within reach.

    Source: Liang et al. 2018, "Variational Autoencoders for Collaborative Filtering", section 4.2.
    """
    return judged.hits(k) / np.maximum(np.minimum(judged.truth.relevant, k), 1)
