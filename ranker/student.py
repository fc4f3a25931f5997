"""A small network that orders lists as the whole ranker does: fast, and as fine as what it reads."""

import numpy as np

from aisle.data.ids import Rows
from aisle.ranker.features import Features
from aisle.ranker.lists import Floats, Lists
from aisle.ranker.network import Network
from aisle.ranker.settings import NetworkSettings, RankerSettings

FOLDER = "student"

TEMPERATURE = 0.5
"""By which a teacher's normalised scores are divided before the softmax of a list."""


def student(
    features: Features, sizes: Rows, scores: Floats, settings: NetworkSettings, *, seed: int
) -> Network:
    """A small network that orders lists as a teacher does: it learns the softmax of the teacher's scores.

    Source: Hinton, Vinyals and Dean 2015, "Distilling the Knowledge in a Neural Network"; for rankings, Reddi
    et al. 2021, "RankDistil", section 3.

    Args:
        features: of the pairs, list after list; they need not be labelled.
        sizes: pairs of each list.
        scores: the teacher's, of deviation about 1.
        settings: the network's recipe; its loss is the listwise one.
        seed: of everything random.
    """
    owner = np.repeat(np.arange(len(sizes)), sizes)
    highest = np.full(len(sizes), -np.inf)
    np.maximum.at(highest, owner, scores)
    weights = np.exp((scores - highest[owner]) / TEMPERATURE)
    shares = weights / np.bincount(owner, weights)[owner]
    listwise = settings.model_copy(update={"loss": "listwise"})
    return Network.fit(features, sizes, shares.astype(np.float32), listwise, seed=seed)


def taught(
    lists: Lists, features: Features, scores: Floats, settings: RankerSettings, *, seed: int
) -> tuple[Network, Floats]:
    """A student of all lists, and scores of each pair by students of other users' lists.

    Args:
        lists: of candidates; labels are not needed.
        features: that it reads, of their pairs.
        scores: the teacher's.
        settings: of the ranker; `ranker.network` is the recipe, `ranker.student.hidden` the widths.
        seed: of everything random.
    """
    recipe = settings.network.model_copy(update={"hidden": settings.student.hidden})

    def learned_from(some: Rows) -> Network:
        pairs = lists.pairs_of(some)
        return student(features.take(pairs), lists.sizes[some], scores[pairs], recipe, seed=seed)

    fold = np.random.default_rng(seed).permutation(len(lists)) % settings.folds
    held_out = np.zeros(len(lists.items), np.float32)
    for part in range(settings.folds):
        asked = lists.pairs_of(np.flatnonzero(fold == part))
        held_out[asked] = learned_from(np.flatnonzero(fold != part)).scores(features.take(asked))
    return learned_from(np.arange(len(lists))), held_out
