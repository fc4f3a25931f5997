"""Serendipity: what the user wanted and would not have been shown anyway."""

import numpy as np

from aisle.eval.judged import Judged, UserScores


def serendipity(judged: Judged, k: int) -> UserScores:
    """`|relevant in the first k that are not among the k most popular items| / k`, float64 (n_users).

    Unexpected is what a primitive recommender does not return, and useful what is relevant: Ge,
    Delgado-Battenfeld and Jannach 2010, "Beyond Accuracy" (there written |UNEXP and USEFUL| / |RS|). The
    primitive recommender shows everybody the items with the most past events; those that tie with its last
    one are expected, too. The denominator is k even where fewer items were returned, as in precision.
    """
    expected = judged.known_catalogue.most_popular(k)
    rows = judged.known_rows[judged.hit_items]
    surprising = ~(expected[rows] & (rows >= 0))
    return judged.sum_hits(surprising.astype(np.float64), k) / k
