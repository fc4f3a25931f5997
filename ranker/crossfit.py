"""Scores of labelled lists by scorers that did not learn on them, and scorers that learned on all."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from aisle.data.errors import InputError
from aisle.data.ids import Rows
from aisle.data.progress import meter
from aisle.ranker.features import Features
from aisle.ranker.lists import Floats
from aisle.ranker.pairs import LabelledLists
from aisle.ranker.scorers import Scorer, fit
from aisle.ranker.settings import RankerSettings, ScorerKind

FEWEST = 20
"""Lists with a relevant item, at least: fewer teach nothing."""


@dataclass(frozen=True)
class Fitted:
    """What was learned.

    Attributes:
        scorers: that learned on all lists, by kind.
        held_out: score of each pair by scorers that learned on other users, float32 (pairs), by kind.
    """

    scorers: Mapping[str, Scorer]
    held_out: Mapping[str, Floats]


def crossfit(given: LabelledLists, features: Features, settings: RankerSettings, *, seed: int) -> Fitted:
    """Learn on all lists but those of one part of the users, for each part; then on all of them.

    Lists without a relevant item teach no order and are only scored.

    Raises:
        InputError: too few lists have a relevant item.
    """
    lists = given.lists
    teaching = np.bincount(lists.owner, given.labels, minlength=len(lists)) > 0
    if teaching.sum() < FEWEST:
        raise InputError(
            f"relevant items in at least {FEWEST} lists",
            f"{int(teaching.sum())} of {len(lists)}",
            "prepare more events, or raise ranker.pairs.depth",
        )
    fold = np.random.default_rng(seed).permutation(len(lists)) % settings.folds
    held_out: dict[str, Floats] = {kind: np.zeros(len(lists.items), np.float32) for kind in settings.scorers}
    with meter("training the ranker", len(settings.scorers) * (settings.folds + 1)) as progress:
        for part in range(settings.folds):
            learned = np.flatnonzero(teaching & (fold != part))
            asked = lists.pairs_of(np.flatnonzero(fold == part))
            for kind in settings.scorers:
                scorer = _fit(kind, given, features, learned, settings, seed)
                held_out[kind][asked] = scorer.scores(features.take(asked))
                progress.advance()
        scorers: dict[str, Scorer] = {}
        for kind in settings.scorers:
            scorers[kind] = _fit(kind, given, features, np.flatnonzero(teaching), settings, seed)
            progress.advance()
    return Fitted(scorers, held_out)


def _fit(
    kind: ScorerKind,
    given: LabelledLists,
    features: Features,
    chosen: Rows,
    settings: RankerSettings,
    seed: int,
) -> Scorer:
    pairs = given.lists.pairs_of(chosen)
    return fit(
        kind, features.take(pairs), given.lists.sizes[chosen], given.labels[pairs], settings, seed=seed
    )
