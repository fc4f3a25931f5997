"""Pairs of users and items to learn from: the retriever's own candidates, with what came next as labels."""

import logging
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aisle.data.errors import InputError
from aisle.data.history import event_time
from aisle.data.ids import Rows
from aisle.data.prepared import BEFORE, Prepared
from aisle.ranker.lists import Lists
from aisle.ranker.settings import PairSettings
from aisle.retriever.candidates import Retriever
from aisle.retriever.users import AT_ONCE

LOG = logging.getLogger(__name__)

PAST = BEFORE["test"]


@dataclass(frozen=True)
class LabelledLists:
    """Lists with labels.

    Attributes:
        lists: candidates, and what else is learned from.
        labels: whether each pair is relevant, bool (pairs).
        found: whether each pair is among the candidates, as it will be when ranking, bool (pairs).
        relevant: items relevant to each list's user, int64 (lists).
    """

    lists: Lists
    labels: NDArray[np.bool_]
    found: NDArray[np.bool_]
    relevant: Rows

    def take(self, places: Rows) -> "LabelledLists":
        """Some of the lists, by place."""
        pairs = self.lists.pairs_of(places)
        return LabelledLists(
            self.lists.take(places), self.labels[pairs], self.found[pairs], self.relevant[places]
        )


def labelled_lists(
    retriever: Retriever, labels: pl.DataFrame, settings: PairSettings, *, seed: int
) -> LabelledLists:
    """Lists of all users with a label: the retriever's candidates, random items, and missed relevant ones.

    Args:
        retriever: knows what was before the test part of its shop, and nothing of the labels.
        labels: canonical events: what users took next.
        settings: depth, random negatives, and what becomes of relevant items that were not retrieved.
        seed: of the random negatives.

    Raises:
        InputError: the retriever has seen a label, or no label is of a user that it knows.
    """
    shop = retriever.prepared
    refuse_seen(shop, labels)
    known = labels.select(user=shop.user_ids.code("user_id"), item=shop.item_ids.code("item_id"))
    known = known.drop_nulls().unique().sort("user", "item")
    if known.is_empty():
        raise InputError("labels of users and items of the shop", "none", "label what its users took next")
    by_user = known.group_by("user").agg("item").sort("user")
    users, wanted = by_user["user"].to_numpy(), [np.asarray(rows) for rows in by_user["item"].to_list()]
    rng = np.random.default_rng(seed)
    parts = []
    for start in range(0, len(users), AT_ONCE):
        some, items = users[start : start + AT_ONCE], wanted[start : start + AT_ONCE]
        found = retriever.candidates(some, PAST, settings.depth)
        of_user = {str(key[0]): rows for key, rows in found.group_by("user_id")}
        more = [
            _more(
                rows,
                shop.item_ids.rows(of_user.get(user, found.head(0))["item_id"]),
                len(shop.item_ids),
                settings,
                rng,
            )
            for user, rows in zip(shop.user_ids.ids(some), items, strict=True)
        ]
        joined = retriever.scored(some, PAST, more) if any(map(len, more)) else found.head(0)
        parts.append(pl.concat([found.with_columns(found=True), joined.with_columns(found=False)]))
    table = pl.concat(parts)
    lists = Lists.of(table.drop("found"), shop.user_ids, shop.item_ids)
    marks = Lists.of(
        table.select("user_id", "item_id", "score", pl.col("found").cast(pl.Float32)),
        shop.user_ids,
        shop.item_ids,
    )
    wanted = [wanted[place] for place in np.searchsorted(users, lists.users)]
    labels_of = lists.labels(wanted)
    relevant = np.array([len(rows) for rows in wanted], np.int64)
    LOG.info(
        "%d lists, %d with a relevant item among their %d candidates",
        len(lists),
        len(np.unique(lists.owner[labels_of & (marks.sources["found"] > 0)])),
        settings.depth,
    )
    return LabelledLists(lists, labels_of, marks.sources["found"] > 0, relevant)


def _more(
    relevant: Rows, found: Rows, catalogue: int, settings: PairSettings, rng: np.random.Generator
) -> Rows:
    """Items that join a list: the missed relevant ones, if they do, and random others."""
    missed = np.setdiff1d(relevant, found) if settings.missed == "join" else relevant[:0]
    drawn = rng.integers(catalogue, size=settings.random_negatives)
    negatives = np.setdiff1d(drawn, np.concatenate([relevant, found]))
    return np.concatenate([missed, negatives]).astype(np.int64)


def refuse_seen(shop: Prepared, labels: pl.DataFrame) -> None:
    """Refuse labels that a retriever trained on what was before `shop`'s test part has seen.

    A ranker that learned from such a retriever's scores would learn to trust them more than it may: they
    know the answer. An item that is taken again is another event.

    Args:
        shop: what the retriever was trained on.
        labels: canonical events.

    Raises:
        InputError: a label is among the events of train or validation.
    """
    event = ("user_id", "item_id", event_time().alias("time"))
    past = shop.events(*PAST).select(event).unique()
    seen = labels.lazy().select(event).join(past, on=["user_id", "item_id", "time"], how="semi").collect()
    if len(seen):
        user, item, _ = seen.row(0)
        raise InputError(
            "labels that the retriever has not seen",
            f"{len(seen)} of {len(labels)} among what it was trained on, such as user {user!r} with {item!r}",
            "train a retriever on the shop one step back (aisle.ranker.earlier), and take its candidates",
        )
