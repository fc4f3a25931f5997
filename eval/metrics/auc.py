"""Area under the ROC curve: how often a wanted item stands above one that is not wanted."""

import numpy as np

from aisle.eval.judged import Judged, UserScores


def auc(judged: Judged, k: int) -> UserScores:
    """Share of the pairs of a relevant and another item that the first k put in the right order, (n_users).

    `sum over the relevant items at rank <= k of (N - others above it), / (R N)`, float64, with R relevant
    items and N = items of the catalogue - R others. A pair is in the right order if the relevant item is in
    the first k and the other one is below it, or not there at all. With k as large as the catalogue and every
    item scored it is the area under the ROC curve (Hanley and McNeil 1982, the Wilcoxon statistic), in which
    a tie counts 0 here and half there. Schröder, Thiele and Lehner 2011, "Setting Goals and Choosing Metrics
    for Recommender System Evaluations", deal out the places below k (limited AUC); here they count as lost.
    Items that a user cannot be shown, such as seen ones, count among the N.
    """
    others = judged.catalogue_size - judged.truth.relevant
    above = judged.hit_ranks - judged.hit_ordinals
    below = np.maximum(others[judged.hit_users] - above, 0)
    return judged.per_relevant(judged.sum_hits(below.astype(np.float64), k)) / np.maximum(others, 1)
