"""Mean average precision: precision at every wanted item, averaged."""

from aisle.eval.judged import Judged, UserScores


def average_precision(judged: Judged, k: int) -> UserScores:
    """`sum of precision@rank over the relevant items at rank <= k, / |relevant|`, float64 (n_users).

    The denominator is all relevant items (trec_eval `map_cut_k`, ir_measures `AP@k`), not `min(k,
    |relevant|)` as in many recommender libraries: the two differ for users with more than k relevant
    items.
    """
    return judged.per_relevant(judged.sum_hits(judged.hit_ordinals / judged.hit_ranks, k))
