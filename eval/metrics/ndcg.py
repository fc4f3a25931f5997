"""Normalised discounted cumulative gain: wanted items count less the further down they stand."""

import numpy as np

from aisle.data.errors import InputError
from aisle.eval.judged import Judged, UserScores
from aisle.eval.truth import Gains

LARGEST = 50
"""Largest relevance whose gain `2 ** relevance - 1` is told apart from a smaller one by 1 in float64."""


def ndcg(judged: Judged, k: int) -> UserScores:
    """`DCG@k / IDCG@k` with `DCG@k = sum of gain / log2(rank + 1)` over ranks <= k, float64 (n_users).

    IDCG is the DCG of the truth in its best order. The gain is the relevance itself: 1 for every relevant
    item where the truth has no degrees (binary ndcg).
    Source: Järvelin and Kekäläinen 2002, with the discount of trec_eval (`ndcg_cut_k`, ir_measures `nDCG@k`).
    """
    return _normalised(judged, k, judged.hit_gains, judged.truth.gains)


def ndcg_exp(judged: Judged, k: int) -> UserScores:
    """As :func:`ndcg` with the gain `2 ** relevance - 1`, float64 (n_users).

    Source: Burges et al. 2005, "Learning to Rank using Gradient Descent" (ir_measures
    `nDCG(dcg='exp-log2')@k`). Meant for small degrees.

    Raises:
        InputError: a relevance is above `LARGEST`, where gains of 1 are lost beside it.
    """
    largest = float(judged.truth.gains.max(initial=0))
    if largest > LARGEST:
        raise InputError(
            f"relevances up to {LARGEST} for ndcg_exp", f"{largest:g}", "give degrees, or use ndcg instead"
        )
    return _normalised(judged, k, np.exp2(judged.hit_gains) - 1, np.exp2(judged.truth.gains) - 1)


def _normalised(judged: Judged, k: int, hit_gains: Gains, truth_gains: Gains) -> UserScores:
    truth = judged.truth
    dcg = judged.sum_hits(hit_gains / np.log2(judged.hit_ranks + 1), k)
    best = truth.ranks <= k
    discounted = truth_gains[best] / np.log2(truth.ranks[best] + 1)
    ideal = np.bincount(truth.owners[best], weights=discounted, minlength=len(truth))
    return np.divide(dcg, ideal, out=np.zeros_like(dcg), where=ideal > 0)
