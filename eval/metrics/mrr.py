"""Mean reciprocal rank: how far down the first wanted item stands."""

import numpy as np

from aisle.eval.judged import Judged, UserScores


def mrr(judged: Judged, k: int) -> UserScores:
    """`1 / rank` of the first relevant item if that rank is at most k, else `0`, float64 (n_users).

    Source: Voorhees 1999, "The TREC-8 Question Answering Track Report" (ir_measures `RR@k`).
    """
    scores = np.zeros(len(judged.truth))
    within = judged.hit_ranks <= k
    np.maximum.at(scores, judged.hit_users[within], 1 / judged.hit_ranks[within])
    return scores
