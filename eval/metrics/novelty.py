"""Novelty: how unlikely it is that the user knows the items anyway."""

import numpy as np

from aisle.eval.judged import Judged, UserScores


def novelty(judged: Judged, k: int) -> UserScores:
    """Mean self-information in bits of a user's first k items, float64 (n_users); 0 without results.

    `mean of -log2 p(i)`, where `p(i) = (events of i + 1) / (all events + items)` in the past: the added one
    keeps items never seen before finite.
    Source: Zhou et al. 2010, "Solving the apparent diversity-accuracy dilemma", and Castells, Hurley and
    Vargas 2015 (mean self-information); the smoothing is Laplace's.
    """
    information = -np.log2(judged.popularity)
    return judged.lists.means(information[judged.lists.items], k)
