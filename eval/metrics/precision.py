"""Precision: how much of the first k a user wanted."""

from aisle.eval.judged import Judged, UserScores


def precision(judged: Judged, k: int) -> UserScores:
    """`precision@k = |relevant in the first k| / k`, float64 (n_users).

    The denominator is k even where fewer items were returned (trec_eval `P_k`, ir_measures `P@k`).
    """
    return judged.hits(k) / k
