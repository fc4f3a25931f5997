"""R-precision: precision at the number of relevant items."""

from aisle.eval.judged import Judged, UserScores


def r_precision(judged: Judged, k: int) -> UserScores:
    """`|relevant in the first R| / R` with R = |relevant|, counting ranks up to k only, float64 (n_users).

    Equal to trec_eval's `Rprec` (ir_measures `Rprec`) for every user with `R <= k`.
    """
    early = judged.hit_ranks <= judged.truth.relevant[judged.hit_users]
    return judged.per_relevant(judged.sum_hits(early.astype(float), k))
