"""Real users for the report: what they did, what they were shown, what they wanted, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from aisle.data.prepared import Part, Prepared
from aisle.eval.report.context import (
    Example,
    ListedItem,
    PastEvent,
    ShownItem,
    ShownReason,
    WantedItem,
)

if TYPE_CHECKING:
    from aisle.ranker.ranker import Ranked, Ranker

TOP = 5
"""Places of a list that are shown."""

FIRST = 10
"""Places that count as the top of a list where users are told apart."""

HISTORY = 6
"""Events of a history that are shown."""

ALONE = (
    "A wanted item stands among the first ten",
    "A wanted item is in the list, but not among the first ten",
    "No wanted item is in the list",
)
"""Outcomes without a ranker."""

RANKED = (
    "The ranker brings a wanted item among the first ten",
    "The ranker drops a wanted item from the first ten",
    "The ranker moves a wanted item up within the first ten",
    "The ranker moves a wanted item down within the first ten",
    "A wanted item was retrieved, and stands below the first ten either way",
    "No wanted item was retrieved",
    "A wanted item stands among the first ten, where it was retrieved",
)
"""Outcomes with one, in the order in which they are drawn."""

GROUPS = {
    "retrieval": "its place as retrieved",
    "two_tower": "what the towers make of the history",
    "co_occurrence": "what others took soon after",
    "words": "the same words",
    "text_similarity": "reads like what was taken",
    "text": "reads like what was taken",
    "next": "what others took next",
    "follows": "what others took later",
    "precedes": "what others took before",
    "together": "who took one took the other",
    "linear": "what goes together in the whole shop",
    "brand": "its brand",
    "category 1": "its department",
    "category 2": "its category",
    "category 3": "its narrower category",
    "item": "how popular and how new it is",
    "price": "its price",
    "sentiment": "what reviewers think of it",
    "user": "how much the user has done",
}
"""Groups of the ranker's features, in words; others are shown by name."""


@dataclass(frozen=True)
class Lists:
    """What users were shown.

    Attributes:
        prepared: the shop.
        part: that was predicted.
        retrieved: name and run of the lists as retrieved.
        ranked: the same as the ranker has them; None without one.
        ranker: folder of the ranker, which says why; None without one.
    """

    prepared: Prepared
    part: Part
    retrieved: tuple[str, pl.DataFrame]
    ranked: tuple[str, pl.DataFrame] | None = None
    ranker: Path | None = None

    @property
    def runs(self) -> dict[str, pl.DataFrame]:
        """Runs by name: as retrieved first."""
        return dict([self.retrieved, *([self.ranked] if self.ranked else [])])


def examples(lists: Lists, truth: pl.DataFrame, count: int, seed: int) -> list[Example]:
    """`count` users, drawn by chance: in turns one of each outcome that any user has.

    Args:
        lists: what users were shown.
        truth: user_id, item_id of relevant items.
        count: users wanted.
        seed: of the draw.
    """
    if not count:
        return []
    outcomes = outcomes_of(lists, truth)
    chosen = drawn(outcomes, RANKED if lists.ranked else ALONE, count, seed)
    shop = _Shop.of(lists, truth, chosen)
    shares = outcomes["outcome"].value_counts(normalize=True)
    share_of = dict(zip(shares["outcome"], shares["proportion"], strict=True))
    outcome_of = dict(outcomes.iter_rows())
    return [_example(shop, user, outcome_of[user], share_of[outcome_of[user]]) for user in chosen]


def outcomes_of(lists: Lists, truth: pl.DataFrame) -> pl.DataFrame:
    """What came of each user of the truth: user_id, outcome; sorted by user.

    That of a user with several wanted items is told by the one that stands highest, in each list.
    """
    best = truth.select(pl.col("user_id").unique().sort())
    for name, run in (("before", lists.retrieved[1]), ("after", (lists.ranked or lists.retrieved)[1])):
        hits = run.join(truth, on=["user_id", "item_id"], how="semi")
        ranks = hits.group_by("user_id").agg(pl.col("rank").cast(pl.Int64).min().alias(name))
        best = best.join(ranks, on="user_id", how="left", maintain_order="left")
    before, after = pl.col("before"), pl.col("after")
    if lists.ranked is None:
        found, deep, missed = ALONE
        told = pl.when(before <= FIRST).then(pl.lit(found)).when(before.is_null()).then(pl.lit(missed))
        return best.select("user_id", outcome=told.otherwise(pl.lit(deep)))
    into, out, up, down, below, missed, still = RANKED
    told = (
        pl.when(before.is_null() | after.is_null())
        .then(pl.lit(missed))
        .when((before > FIRST) & (after > FIRST))
        .then(pl.lit(below))
        .when(before > FIRST)
        .then(pl.lit(into))
        .when(after > FIRST)
        .then(pl.lit(out))
        .when(after < before)
        .then(pl.lit(up))
        .when(after > before)
        .then(pl.lit(down))
    )
    return best.select("user_id", outcome=told.otherwise(pl.lit(still)))


def drawn(outcomes: pl.DataFrame, order: Sequence[str], count: int, seed: int) -> list[str]:
    """Users in turns of one for each outcome, in the order of the outcomes."""
    generator = np.random.default_rng(seed)
    queues = []
    for outcome in order:
        users = outcomes.filter(pl.col("outcome") == outcome)["user_id"].to_list()
        queues.append([users[place] for place in generator.permutation(len(users))])
    turns = [(turn, place) for place, queue in enumerate(queues) for turn in range(len(queue))]
    chosen = sorted(sorted(turns)[:count], key=lambda one: (one[1], one[0]))
    return [queues[place][turn] for turn, place in chosen]


@dataclass(frozen=True)
class _Shop:
    """What is read once for all examples, of the users that were drawn."""

    lists: Lists
    items: Mapping[str, ShownItem]
    truth: pl.DataFrame
    runs: Mapping[str, pl.DataFrame]
    past: pl.DataFrame
    ranker: "Ranker | None"

    @classmethod
    def of(cls, lists: Lists, truth: pl.DataFrame, users: Sequence[str]) -> "_Shop":
        some = pl.col("user_id").is_in(users)
        past = lists.prepared.past(lists.part).filter(some, pl.col("item_id").is_not_null()).collect()
        order = "timestamp" if lists.prepared.timed else "position"
        return cls(
            lists,
            _items(lists.prepared.items),
            truth.filter(some),
            {name: run.filter(some).sort("user_id", "rank") for name, run in lists.runs.items()},
            past.sort("user_id", order, maintain_order=True),
            None if lists.ranker is None else _load(lists.ranker),
        )


def _load(folder: Path) -> "Ranker":
    from aisle.ranker.ranker import Ranker

    return Ranker.load(folder)


def _items(items: pl.DataFrame) -> dict[str, ShownItem]:
    """The catalogue as people know it."""
    return {row["item_id"]: _item(row) for row in items.iter_rows(named=True)}


def _item(row: Mapping[str, Any]) -> ShownItem:
    title = next((str(row[name]) for name in ("title", "description") if row.get(name)), row["item_id"])
    categories = row.get("categories") or []
    price = row.get("price")
    said = [row.get("brand"), "" if price is None else f"{price:.2f}", *categories[-1:]]
    return ShownItem(
        item_id=row["item_id"], title=title[:200], details=" · ".join(str(one) for one in said if one)
    )


def _example(shop: _Shop, user: str, outcome: str, share: float) -> Example:
    here = pl.col("user_id") == user
    past = shop.past.filter(here)
    runs = {name: run.filter(here) for name, run in shop.runs.items()}
    wanted = shop.truth.filter(here)["item_id"].to_list()
    return Example(
        user_id=user,
        outcome=outcome,
        share=share,
        events=len(past),
        history=_history(shop, past),
        lists=_lists(shop, past, runs, set(wanted)),
        wanted=[
            WantedItem(
                item=shop.items[item],
                ranks={name: _ranks(run).get(item) for name, run in runs.items()},
            )
            for item in wanted
        ],
    )


def _history(shop: _Shop, past: pl.DataFrame) -> list[PastEvent]:
    """The items of the last events, newest first, each once with all that was done with it."""
    newest: dict[str, list[dict[str, Any]]] = {}
    for event in past.reverse().iter_rows(named=True):
        newest.setdefault(event["item_id"], []).append(event)
    history = []
    for item, events in list(newest.items())[:HISTORY]:
        stars = next((event["rating"] for event in events if event["rating"] is not None), None)
        time = events[0]["timestamp"]
        history.append(
            PastEvent(
                item=shop.items[item],
                kind=", ".join(dict.fromkeys(event["kind"] for event in events)),
                date=None if time is None else f"{time:%Y-%m-%d}",
                stars=stars,
            )
        )
    return history


def _lists(
    shop: _Shop, past: pl.DataFrame, runs: Mapping[str, pl.DataFrame], wanted: set[str]
) -> dict[str, list[ListedItem]]:
    (retrieved, first), *more = runs.items()

    def top(run: pl.DataFrame) -> list[tuple[int, str]]:
        return [(rank, item) for rank, item in run.head(TOP).select("rank", "item_id").iter_rows()]

    found = {
        retrieved: [
            ListedItem(rank=rank, item=shop.items[item], relevant=item in wanted) for rank, item in top(first)
        ]
    }
    before = _ranks(first)
    for name, run in more:
        why = _explained(shop, past, first["item_id"].to_list())
        found[name] = [
            ListedItem(
                rank=rank,
                item=shop.items[item],
                relevant=item in wanted,
                before=before.get(item),
                **(_said(shop, why[item]) if item in why else {}),
            )
            for rank, item in top(run)
        ]
    return found


def _ranks(run: pl.DataFrame) -> dict[str, int]:
    return dict(run.select("item_id", "rank").iter_rows())


def _explained(shop: _Shop, past: pl.DataFrame, candidates: list[str]) -> dict[str, "Ranked"]:
    """What the ranker says of a user's candidates, by item."""
    if shop.ranker is None or not candidates:
        return {}
    history = past.select("item_id", "kind", "timestamp", "rating", "text").to_dicts()
    ranked = shop.ranker.rank(history, candidates, k=2 * FIRST, explain=True)
    return {one.item_id: one for one in ranked}


def _said(shop: _Shop, one: "Ranked") -> dict[str, Any]:
    def words(kind: str, what: str) -> str:
        return shop.items[what].title if kind == "history" else GROUPS.get(what, what)

    reasons = [
        ShownReason(kind=reason.kind, what=words(reason.kind, reason.what), lift=reason.lift)
        for reason in one.reasons
    ]
    return {"probability": one.probability, "reasons": reasons, "review": one.review}
