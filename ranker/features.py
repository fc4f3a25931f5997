"""The numbers that a ranker reads: of a user, a candidate and a moment.

A feature's name is `group.what`. The groups:

    retrieval    the fused score, and its place and gap to the best in the list
    <source>     the same of each source of the retriever
    <kinship>    how the candidate is related to the user's past events: to the last, the one before it, the
                 most, on average, and with recent ones first (:mod:`aisle.ranker.kinship`)
    item         popularity and whatever else is known of the item whoever asks
    price        of the item, and relative to what the user takes
    user         events of the history
    sentiment    standing of the user with what it reviews, and of the item relative to it
    <extra>      what is joined by item, such as the item's sentiment
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aisle.data.history import Histories
from aisle.data.ids import Rows
from aisle.ranker.kinship import SUMMARIES, Kinship
from aisle.ranker.knowledge import Knowledge
from aisle.ranker.lists import Floats, Lists
from aisle.ranker.reviewed import GROUP, MEAN
from aisle.ranker.reviewers import Reviewers

AT_ONCE = 128
"""Lists that are worked on together, at most."""

PLACES = 1 << 14
"""Candidates that are worked on together, lists padded to the longest of them; or one list."""

REACH = 30
"""Most recent events of a history that candidates are related to."""

DECAY = 0.7
"""An event counts this ** events after it, where recent ones come first."""


@dataclass(frozen=True)
class Features:
    """Numbers of pairs.

    Attributes:
        names: of the columns.
        values: float32 (pairs, columns); NaN where unknown.
    """

    names: tuple[str, ...]
    values: Floats

    def without(self, groups: Collection[str]) -> "Features":
        """All columns but those of some groups."""
        chosen = [place for place, name in enumerate(self.names) if group_of(name) not in groups]
        return Features(tuple(self.names[place] for place in chosen), self.values[:, chosen])

    def aligned(self, names: tuple[str, ...]) -> "Features":
        """The columns of some names, in their order; NaN where there is no such column."""
        place = {name: column for column, name in enumerate(self.names)}
        values = np.full((len(self.values), len(names)), np.nan, np.float32)
        for column, name in enumerate(names):
            if name in place:
                values[:, column] = self.values[:, place[name]]
        return Features(names, values)

    def take(self, pairs: Rows) -> "Features":
        """Some of the pairs."""
        return Features(self.names, self.values[pairs])


def group_of(name: str) -> str:
    """Group of a feature.

    >>> group_of("text.last")
    'text'
    """
    return name.partition(".")[0]


def compute(
    lists: Lists,
    histories: Histories,
    knowledge: Knowledge,
    extra: Mapping[str, Floats] | None = None,
    groups: Collection[str] | None = None,
    reviewers: Reviewers | None = None,
) -> Features:
    """Features of each pair of the lists.

    Args:
        lists: users and candidates.
        histories: of all users that the lists may name, by user row.
        knowledge: of the items, as of the moment of ranking.
        extra: columns with a number for each item, by name (`group.what`).
        groups: relations to the history that are computed; all unless told.
        reviewers: what the shop's reviewers are like; None: nobody gives stars, or it is not asked.
    """
    columns: dict[str, Floats] = {}
    for name, values in {"retrieval": lists.scores, **lists.sources}.items():
        columns |= {f"{name}.{what}": column for what, column in _in_list(lists, values).items()}
    kinships = knowledge.kinships
    wanted = {name: kinships[name] for name in kinships if groups is None or name in groups}
    columns |= _related(lists, histories, wanted)
    facts = knowledge.facts
    columns |= {f"item.{name}": values[lists.items] for name, values in facts.items() if name != "price"}
    if "price" in facts:
        columns["price.item"] = facts["price"][lists.items]
        columns["price.to user's"] = facts["price"][lists.items] - _usual(lists, histories, facts["price"])
    columns["user.events"] = np.log1p(histories.lengths[lists.users])[lists.owner].astype(np.float32)
    columns |= {name: values[lists.items] for name, values in (extra or {}).items()}
    if reviewers is not None:
        columns |= {
            f"{GROUP}.user's {name}": values[lists.owner]
            for name, values in reviewers.columns(lists.users, histories).items()
        }
        if MEAN in columns:
            columns[f"{GROUP}.to user's"] = columns[MEAN] - columns[f"{GROUP}.user's mean"]
    return Features(tuple(columns), np.stack(list(columns.values()), 1).astype(np.float32))


def _in_list(lists: Lists, values: Floats) -> dict[str, Floats]:
    """A score, how far it is below the best of its list, and the logarithm of its place there."""
    order = np.lexsort((lists.ranks, -values, lists.owner))
    places = np.empty(len(values), np.int64)
    places[order] = lists.ranks
    best = np.full(len(lists), np.nan, np.float32)
    np.fmax.at(best, lists.owner, values)
    return {"score": values, "gap": values - best[lists.owner], "place": np.log(places).astype(np.float32)}


def _usual(lists: Lists, histories: Histories, price: Floats) -> Floats:
    """Mean price of each list's history, for each pair; NaN where none is known."""
    found = np.full(len(lists), np.nan, np.float32)
    for place, user in enumerate(lists.users):
        known = price[histories.items_of(int(user))]
        known = known[~np.isnan(known)]
        if len(known):
            found[place] = known.mean()
    return found[lists.owner]


def _related(lists: Lists, histories: Histories, kinships: Mapping[str, Kinship]) -> dict[str, Floats]:
    """Each kinship of the candidates to the history, summed up."""
    columns = {
        f"{name}.{what}": np.empty(len(lists.items), np.float32) for name in kinships for what in SUMMARIES
    }
    for pairs, present, items, past, weights in _blocks(lists, histories):
        there = (weights > 0)[:, None, :]
        for name, kinship in kinships.items():
            values = kinship(past, items) * there
            for what, summary in SUMMARIES.items():
                columns[f"{name}.{what}"][pairs] = summary(values, weights)[present]
    return columns


def _blocks(
    lists: Lists, histories: Histories
) -> Iterator[tuple[slice, NDArray[np.bool_], Rows, Rows, Floats]]:
    """Some lists at a time: their pairs; then, padded, filled places, item rows, past rows and weights."""
    stop = 0
    while (start := stop) < len(lists):
        widest = np.maximum.accumulate(lists.sizes[start : start + AT_ONCE])
        fitting = widest * np.arange(1, len(widest) + 1) <= PLACES
        stop = start + max(1, int(fitting.sum()))
        pairs = slice(int(lists.offsets[start]), int(lists.offsets[stop]))
        sizes = lists.sizes[start:stop]
        present = np.arange(sizes.max(initial=1)) < sizes[:, None]
        items = np.zeros(present.shape, np.int64)
        items[present] = lists.items[pairs]
        recent = [histories.items_of(int(user))[-REACH:][::-1] for user in lists.users[start:stop]]
        lengths = np.array([len(rows) for rows in recent])
        filled = np.arange(max(2, lengths.max(initial=0))) < lengths[:, None]
        past = np.zeros(filled.shape, np.int64)
        past[filled] = np.concatenate([*recent, np.empty(0, np.int64)])
        weights = (DECAY ** np.arange(filled.shape[1]) * filled).astype(np.float32)
        yield pairs, present, items, past, weights
