"""Hit rate: whether anything the user wanted is among the first k."""

import numpy as np

from aisle.eval.judged import Judged, UserScores


def hit_rate(judged: Judged, k: int) -> UserScores:
    """`1` if a relevant item is in the first k, else `0`, float64 (n_users).

    Called success in trec_eval (`success_k`) and ir_measures (`Success@k`). With one relevant item a user, as
    under leave-one-out, it equals recall.
    """
    return (judged.hits(k) > 0).astype(np.float64)
