"""Texts that belong together: items of the same user, next items, searches and what followed them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse

from aisle.data.history import Histories, event_time
from aisle.data.ids import Rows
from aisle.data.prepared import Part, Prepared
from aisle.data.schema import KINDS
from aisle.retriever.finetune.settings import FinetuneSettings, PairKind

MOST_CHARS = 1000
"""Characters of a search that are read."""


@dataclass(frozen=True)
class Pairs:
    """Pairs of texts; texts that share a group belong together and are never each other's negatives.

    Attributes:
        texts: distinct things with a text (two may have the same text).
        anchors: rows of `texts`, int64 (n).
        positives: the row that belongs to each anchor, int64 (n).
        chances: how often each pair is drawn, sums to 1, float64 (n).
        groups: texts x groups, 1 where a text is of a group (the items of a user, a search and its items).
        hard: rows of `texts` that are no answer to the anchor although they look like one, int64
            (n, any number); -1 fills up.
    """

    texts: list[str]
    anchors: Rows
    positives: Rows
    chances: NDArray[np.float64]
    groups: sparse.csr_array
    hard: Rows

    def __len__(self) -> int:
        return len(self.anchors)

    def log_share(self) -> NDArray[np.float32]:
        """Log of each text's chance to be the positive of a draw, float32 (texts); 0 if it never is."""
        share = np.bincount(self.positives, self.chances, len(self.texts))
        return np.log(share, out=np.zeros_like(share), where=share > 0).astype(np.float32)

    def related(self, rows: Rows, others: Rows) -> NDArray[np.bool_]:
        """Whether two texts share a group, bool (rows, others)."""
        shared: NDArray[np.float32] = (self.groups[rows] @ self.groups[others].T).toarray()
        return shared > 0


def shop_pairs(prepared: Prepared, texts: Sequence[str], settings: FinetuneSettings, *parts: Part) -> Pairs:
    """Pairs from the events of `parts`; same-user pairs in both orders.

    A search belongs to each item that its user clicks, puts into the cart or buys before the next search. Of
    the rest an event's kind does not matter.

    Args:
        prepared: the shop.
        texts: of each item row, "" where nothing is known; such items are in no pair, nor are equal texts.
        settings: which pairs, and how heavy users and popular items are held down.
        parts: whose events are read.
    """
    histories = recent(prepared.histories(*parts), settings.max_history)
    owners = np.repeat(np.arange(len(histories)), histories.lengths)
    searches, answers = searched(prepared, *parts)
    asked = searches["text"].to_list()
    made: dict[PairKind, Callable[[], Rows]] = {
        "same_user": lambda: same_user(histories, settings.window),
        "next_item": lambda: neighbours(histories, 1),
        "query_product": lambda: answers + np.array([0, len(texts), 0]),
    }
    users, anchors, positives = np.concatenate([made[kind]() for kind in settings.pairs]).T
    every = [*texts, *asked]
    said = codes(every)
    known = np.array([bool(text) for text in every])
    kept = known[anchors] & known[positives] & (said[anchors] != said[positives])
    users, anchors, positives = users[kept], anchors[kept], positives[kept]
    queries = np.arange(len(asked))
    groups = [
        _members(histories.items, owners, len(every), len(histories)),
        _members(
            np.append(answers[:, 2], len(texts) + queries),
            np.append(answers[:, 1], queries),
            len(every),
            len(asked),
        ),
    ]
    return Pairs(
        every,
        anchors,
        positives,
        chances(users, positives, settings.user_balance, settings.item_balance),
        sparse.hstack(groups, format="csr"),
        np.zeros((len(anchors), 0), np.int64),
    )


def codes(texts: Sequence[str]) -> Rows:
    """A number for each text, the same for equal ones, int64 (len(texts)).

    >>> codes(["b", "a", "b"]).tolist()
    [0, 1, 0]
    """
    places: dict[str, int] = {}
    return np.fromiter((places.setdefault(text, len(places)) for text in texts), np.int64, len(texts))


def _members(texts: Rows, groups: Rows, n_texts: int, n_groups: int) -> sparse.csr_array:
    """Which text is of which group, as float32 (n_texts, n_groups)."""
    ones = np.ones(len(texts), np.float32)
    return sparse.csr_array((ones, (texts, groups)), (n_texts, n_groups))


def recent(histories: Histories, longest: int) -> Histories:
    """The last `longest` distinct items of each user, each at its last event."""
    owners = np.repeat(np.arange(len(histories)), histories.lengths)
    pairs = owners * (int(histories.items.max(initial=0)) + 1) + histories.items
    _, from_behind = np.unique(pairs[::-1], return_index=True)
    kept = np.sort(len(pairs) - 1 - from_behind)
    counts = np.bincount(owners[kept], minlength=len(histories))
    behind = np.repeat(np.cumsum(counts), counts) - np.arange(len(kept))  # 1 for a user's last item
    kept = kept[behind <= longest]
    offsets = np.concatenate([[0], np.cumsum(np.minimum(counts, longest))]).astype(np.int64)
    return Histories(offsets, histories.items[kept], histories.kinds[kept], histories.times[kept])


def neighbours(histories: Histories, steps: int) -> Rows:
    """Each item with the one `steps` later in the same history: user, earlier, later, int64 (n, 3)."""
    owners = np.repeat(np.arange(len(histories)), histories.lengths)
    same = owners[steps:] == owners[:-steps]
    earlier, later = histories.items[:-steps][same], histories.items[steps:][same]
    return np.stack([owners[steps:][same], earlier, later], axis=1)


def same_user(histories: Histories, window: int) -> Rows:
    """Items of one user at most `window` steps apart, in both orders: user, item, item, int64 (n, 3)."""
    forward = [neighbours(histories, steps) for steps in range(1, window + 1)]
    together = np.concatenate(forward)
    return np.concatenate([together, together[:, [0, 2, 1]]])


def searched(prepared: Prepared, *parts: Part) -> tuple[pl.DataFrame, Rows]:
    """Distinct searches (a column `text`), and what was taken after them.

    Returns:
        searches: in order of first use.
        rows of user, search, item, int64 (n, 3), for each click, cart or purchase after a search, up to the
            user's next search.
    """
    taken = [kind for kind in KINDS if kind in ("click", "cart", "purchase")]
    kind = pl.col("kind").cast(pl.String)
    words = pl.col("text").str.slice(0, MOST_CHARS).str.replace_all(r"\s+", " ").str.strip_chars()
    events = (
        prepared.events(*parts)
        .select(
            user=prepared.user_ids.code("user_id"),
            item=prepared.item_ids.code("item_id"),
            time=event_time(),
            search=pl.when(kind == "search").then(words.fill_null("")),
            taken=kind.is_in(taken),
        )
        .collect()
        .sort("user", "time", maintain_order=True)
        .with_columns(pl.col("search").forward_fill().over("user"))
    )
    rows = events.filter(pl.col("taken") & (pl.col("search") != "") & pl.col("item").is_not_null())
    searches = rows.select(text=pl.col("search").unique(maintain_order=True))
    places = searches.with_row_index("place").with_columns(pl.col("place").cast(pl.Int64))
    joined = rows.join(places, left_on="search", right_on="text", maintain_order="left")
    return searches, joined.select(pl.col("user", "place", "item").cast(pl.Int64)).unique(
        maintain_order=True
    ).to_numpy().reshape(-1, 3)


def chances(owners: Rows, positives: Rows, user_balance: float, item_balance: float) -> NDArray[np.float64]:
    """Chance of each pair: `pairs of its owner ** -user_balance * pairs of its positive ** -item_balance`.

    The power of one half is that of word2vec's subsampling of frequent words (Mikolov et al. 2013,
    "Distributed Representations of Words and Phrases", section 2.3).
    """

    def frequency(values: Rows) -> NDArray[np.float64]:
        _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
        return counts[inverse].astype(np.float64)

    weights = frequency(owners) ** -user_balance * frequency(positives) ** -item_balance
    return weights / weights.sum() if len(weights) else weights
