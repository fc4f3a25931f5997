"""Why an item stands where it stands: what its score loses when something is taken away."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from aisle.ranker.features import Features, group_of
from aisle.ranker.lists import Floats, Lists
from aisle.ranker.pairs import PAST
from aisle.ranker.records import Given, item_id

if TYPE_CHECKING:
    from aisle.ranker.ranker import Ranker

MOST = 3
"""Reasons of each kind, at most."""

RECENT = 20
"""Most recent events of a history that may be a reason."""


@dataclass(frozen=True)
class Reason:
    """One thing that moved an item up.

    Attributes:
        kind: an item of the history, or a group of features.
        what: the item's id, or the group's name.
        lift: what the item's score loses without it, against the mean of its list.
    """

    kind: Literal["history", "features"]
    what: str
    lift: float


def reasons_of(
    ranker: "Ranker", history: Sequence[Given], lists: Lists, scores: Floats, wanted: Sequence[str]
) -> Mapping[str, tuple[Reason, ...]]:
    """Reasons of some items of one list, most first; what would move an item down is none.

    Each event of the history is taken away, and each group of features set to its middle in the list, one at
    a time; the list is scored again. (Occlusion: Zeiler & Fergus 2014, "Visualizing and Understanding
    Convolutional Networks", section 4.2.) So a reason is a fact about the whole ranker, not about an
    approximation of it.

    Args:
        ranker: knows all the items.
        history: of the user, oldest first.
        lists: the one list.
        scores: of its pairs.
        wanted: ids of the items to explain.
    """
    shop = ranker.retriever.prepared
    ids = shop.item_ids.ids(lists.items)
    score_of = _above_mean(ids, scores)
    lifts: dict[str, list[Reason]] = {item: [] for item in wanted}
    for group, without in _without_groups(ranker, history, lists).items():
        after = _above_mean(ids, without)
        for item in wanted:
            lifts[item].append(Reason("features", group, score_of[item] - after[item]))
    for past, without in _without_events(ranker, history, ids).items():
        after = _above_mean(ids, without)
        for item in wanted:
            lifts[item].append(Reason("history", past, score_of[item] - after[item]))
    return {item: _most(found) for item, found in lifts.items()}


def _above_mean(ids: Sequence[str], scores: Floats) -> dict[str, float]:
    """How far each item is above the mean of the list: a shorter history moves all scores alike."""
    return dict(zip(ids, (scores - scores.mean()).tolist(), strict=True))


def _most(found: Sequence[Reason]) -> tuple[Reason, ...]:
    """The reasons of each kind with the largest lifts, together in the order of their lifts."""
    up = sorted((one for one in found if one.lift > 0), key=lambda one: -one.lift)
    kept = [
        one for kind in ("history", "features") for one in [each for each in up if each.kind == kind][:MOST]
    ]
    return tuple(sorted(kept, key=lambda one: -one.lift))


def _without_events(ranker: "Ranker", history: Sequence[Given], ids: Sequence[str]) -> dict[str, Floats]:
    """Scores of the list after a history without each of its recent items, whatever was done with it."""
    recent = list(dict.fromkeys(item_id(one) for one in history[-RECENT:]))
    known = [past for past in recent if past in ranker.retriever.prepared.item_ids]
    shorter = [[one for one in history if item_id(one) != past] for past in known]
    if not known:
        return {}
    return dict(zip(known, ranker.scores_of(shorter, [ids] * len(known)), strict=True))


def _without_groups(ranker: "Ranker", history: Sequence[Given], lists: Lists) -> dict[str, Floats]:
    """Scores of the list with each group of features at its middle in the list."""
    visitors, _ = ranker._lists([history], [ranker.retriever.prepared.item_ids.ids(lists.items)])
    histories = visitors.histories(*PAST).merge_repeats(visitors.target_kinds)
    features = ranker.model.features(lists, histories)
    found = {}
    for group in dict.fromkeys(map(group_of, features.names)):
        columns = [place for place, name in enumerate(features.names) if group_of(name) == group]
        values = features.values.copy()
        with np.errstate(all="ignore"):
            values[:, columns] = np.nanmedian(values[:, columns], axis=0)
        found[group] = ranker.model.scores(Features(features.names, values), lists, visitors)
    return found
