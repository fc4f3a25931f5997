"""Popularity bias: whether users are shown more popular items than they turn out to want."""

import numpy as np

from aisle.eval.judged import Judged, UserScores


def popularity_bias(judged: Judged, k: int) -> UserScores:
    """`mean p of the user's first k / mean p of what users wanted - 1`, float64 (n_users), from -1 up.

    p is an item's smoothed share of the past events, as in novelty. What users wanted is one number: the mean
    over users of the mean p of their relevant items. So the mean over users says that the lists are as
    popular as the truth (0), twice as popular (1), or less popular (below 0); a user without results counts
    as 0.
    Source: Abdollahpouri et al. 2020, "The Connection Between Popularity Bias, Calibration, and Fairness in
    Recommendation" (popularity lift, over one group of all users); the truth stands where they have the
    profile, so that no history is needed. The numerator alone is ARP (Yin et al. 2012).
    """
    truth = judged.truth
    wanted = judged.known_catalogue.popularity(judged.pair_rows)
    sums = np.bincount(truth.owners, wanted, minlength=len(truth))
    level = sums[truth.relevant > 0] / truth.relevant[truth.relevant > 0]
    lists = judged.lists
    means = lists.means(judged.popularity[lists.items], k)
    return np.where(lists.sizes > 0, means / level.mean() - 1, 0.0) if len(level) else np.zeros(len(truth))
