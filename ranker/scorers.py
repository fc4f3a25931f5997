"""The kinds of scorers behind one interface."""

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from aisle.data.ids import Rows
from aisle.ranker.features import Features
from aisle.ranker.lists import Floats
from aisle.ranker.settings import RankerSettings, ScorerKind


class Scorer(Protocol):
    """Orders candidates by their features."""

    def scores(self, features: Features) -> Floats:
        """Score of each pair, float32 (pairs)."""
        ...

    def save(self, folder: Path) -> None:
        """Write it into a folder."""
        ...


def fit(
    kind: ScorerKind,
    features: Features,
    sizes: Rows,
    labels: NDArray[np.bool_],
    settings: RankerSettings,
    *,
    seed: int,
) -> Scorer:
    """A scorer that has learned from labelled lists.

    Args:
        kind: of scorer.
        features: of the pairs, list after list.
        sizes: pairs of each list, int64 (lists); each has a relevant pair.
        labels: whether each pair is relevant.
        settings: the recipes.
        seed: of everything random.
    """
    if kind == "boosting":
        from aisle.ranker.boosting import Boosting

        return Boosting.fit(features, sizes, labels, settings.boosting, seed=seed)
    from aisle.ranker.network import Network

    return Network.fit(features, sizes, labels, settings.network, seed=seed)


def load(kind: ScorerKind, folder: Path) -> Scorer:
    """Read a scorer that was written into a folder."""
    if kind == "boosting":
        from aisle.ranker.boosting import Boosting

        return Boosting.load(folder)
    from aisle.ranker.network import Network

    return Network.load(folder)
