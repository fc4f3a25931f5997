"""Signs of a useless model: constant scores, the same items for everybody, worse than popularity."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray
from scipy.stats import skew

from aisle.data.ids import Rows

LOG = logging.getLogger(__name__)

CUT = 10
"""Length of the lists that are looked at."""

LEAST_SPREAD = 0.05
"""Logits that differ by less over the catalogue make a softmax that is flat for all purposes."""

MOST_HUBS = 0.5
"""Share of all places in lists that the `CUT` most frequent items may take."""

ENOUGH_ITEMS = 20 * CUT
"""In smaller catalogues, a few items in most lists are no wonder."""

SURE = 2.0
"""Standard errors by which popularity has to be better before it is said."""


@dataclass(frozen=True)
class Signs:
    """What can be seen of a collapse on validation.

    Attributes:
        items: items of the catalogue.
        spread: median over users of the standard deviation of their scores over the catalogue, in logits.
        hubs: share of all places in top 10 lists that the ten most frequent items take.
        skewness: of the number of lists that each item is in (Radovanović et al. 2010, "Hubs in Space").
        recall: mean recall@10 of the towers.
        popularity: mean recall@10 of the most popular unseen items.
        error: standard error of the difference between the two, over users.
    """

    items: int
    spread: float
    hubs: float
    skewness: float
    recall: float
    popularity: float
    error: float

    def warnings(self) -> list[str]:
        """One sentence for each sign that is there, with what to do."""
        found = []
        if self.spread < LEAST_SPREAD:
            found.append(
                f"the scores hardly differ between items (standard deviation {self.spread:.2g} of a logit): "
                "the towers learned next to nothing; raise retriever.learning_rate or max_rounds, or lower "
                "retriever.objective.temperature"
            )
        if self.items >= ENOUGH_ITEMS and self.hubs > MOST_HUBS:
            found.append(
                f"{CUT} items take {self.hubs:.0%} of all places in top {CUT} lists (skewness "
                f"{self.skewness:.1f}): the towers recommend the same to everybody; prefer uniform negatives "
                "or the full softmax (retriever.objective.kind, popular_share, batch_negatives), or lower "
                "retriever.objective.temperature"
            )
        if self.recall + SURE * self.error < self.popularity:
            found.append(
                f"validation recall@{CUT} is {self.recall:.4f}, that of popularity {self.popularity:.4f}: "
                "the towers are worse than no model; check data.split and counts.json, raise "
                "retriever.max_rounds or patience, or retriever.objective.negatives"
            )
        return found

    def log(self, name: str) -> None:
        """Warn of each sign that is there, after a training of that name."""
        for sentence in self.warnings():
            LOG.warning("%s: %s", name, sentence)


def signs(
    scores: Float[NDArray[np.float32], "some sampled"],
    top: Int[NDArray[np.int64], "n k"],
    relevant: Sequence[Rows],
    seen: Sequence[Rows],
    popularity: Float[NDArray[np.float64], " items"],
) -> Signs:
    """Look for a collapse.

    Args:
        scores: logits of some users for some items of the catalogue.
        top: the best unseen item rows of each user, -1 where there are fewer.
        relevant: relevant item rows of each user, at least one.
        seen: item rows of each user that are not ranked.
        popularity: of each item of the catalogue.
    """
    counts = np.bincount(top[top >= 0], minlength=len(popularity))
    order = np.lexsort((np.arange(len(popularity)), -popularity))
    usual = np.stack([_first_unseen(order, rows, top.shape[1]) for rows in seen])
    mine, theirs = recall(top, relevant), recall(usual, relevant)
    return Signs(
        items=len(popularity),
        spread=float(np.median(scores.std(axis=1))),
        hubs=float(np.sort(counts)[-CUT:].sum() / max(1, counts.sum())),
        skewness=float(skew(counts)) if counts.std() else 0.0,
        recall=float(mine.mean()),
        popularity=float(theirs.mean()),
        error=float((mine - theirs).std() / np.sqrt(len(mine))),
    )


def recall(top: Int[NDArray[np.int64], "n k"], relevant: Sequence[Rows]) -> Float[NDArray[np.float64], " n"]:
    """Share of each user's relevant items that are in the list."""
    found = [np.isin(wanted, row).mean() for row, wanted in zip(top, relevant, strict=True)]
    return np.array(found, np.float64)


def _first_unseen(order: Rows, seen: Rows, k: int) -> Int[NDArray[np.int64], " k"]:
    """The first k items of an order that a user has not seen, -1 where there are fewer."""
    best = order[: k + len(seen)]
    unseen = best[~np.isin(best, seen)][:k]
    return np.pad(unseen, (0, k - len(unseen)), constant_values=-1)
