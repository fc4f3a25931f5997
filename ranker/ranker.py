"""The ranking API: candidates in, the same candidates in order out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import polars as pl

from aisle.data.errors import InputError
from aisle.data.ids import Rows
from aisle.data.prepared import Prepared
from aisle.data.settings import TextSettings
from aisle.data.visitors import Visitors
from aisle.ranker.folder import locate_ranker, read_shop
from aisle.ranker.lists import Floats, Lists
from aisle.ranker.model import RankerModel
from aisle.ranker.pairs import PAST
from aisle.ranker.praise import read_praise
from aisle.ranker.ranking import histories_of, ordered, scored
from aisle.ranker.reasons import Reason, reasons_of
from aisle.ranker.records import (
    Given,
    distinct,
    entries,
    events_table,
    heard,
    history_events,
    item_id,
    unknown_items,
)
from aisle.retriever.candidates import RUN, Retriever

AT_ONCE = 256
"""Users that are ranked for together."""

LISTS = {"user_id": pl.String(), "history": pl.List(pl.String()), "candidates": pl.List(pl.String())}
"""Columns of :meth:`Ranker.rank_many`."""


@dataclass(frozen=True)
class Ranked:
    """One item of an ordered list.

    Attributes:
        rank: from 1.
        item_id: as given.
        score: comparable among the items of all lists of one ranker; larger is better.
        probability: that the user takes the item next, as calibrated on validation; None without a ranker.
        reasons: what moved the item up, most first; empty unless asked for.
        review: a sentence of a review that speaks for it; None unless asked for, or where there is none.
    """

    rank: int
    item_id: str
    score: float
    probability: float | None = None
    reasons: tuple[Reason, ...] = ()
    review: str | None = None


@dataclass(frozen=True, eq=False)
class Ranker:
    """A trained ranker, answering one user or many. Nothing in it changes: threads may share it.

    Attributes:
        model: scorers and what they know of the items.
        retriever: whose scores are features.
        text: how items become text.
        praise: a sentence of a review that speaks for an item, by its id.
        moment: microseconds since 1970 at which everybody asks: when the shop's last event before the test
            part happened; None without times.
    """

    model: RankerModel
    retriever: Retriever
    text: TextSettings
    praise: Mapping[str, str] = field(default_factory=dict)
    moment: int | None = None

    @classmethod
    def load(cls, name: str | Path, *, student: bool = False) -> "Ranker":
        """The ranker in a folder, or of a name on the Hugging Face hub.

        Args:
            name: of the folder, or on the hub.
            student: take the small network that learned its order (`ranker.student.enabled`).

        Raises:
            InputError: there is none, or it is damaged.
        """
        from aisle.ranker.train import retriever_of
        from aisle.retriever.model import load

        folder = locate_ranker(name)
        shop, text, moment = read_shop(folder)
        retriever = retriever_of(shop, load(folder / "retriever"))
        model = RankerModel.load(folder, student=student)
        return cls(model, retriever, text, read_praise(folder), moment)

    def rank(
        self,
        history: Sequence[Given],
        candidates: Sequence[Given],
        k: int | None = 10,
        *,
        explain: bool = False,
    ) -> list[Ranked]:
        """The best `k` of a user's candidates, best first.

        Args:
            history: what the user did, oldest first: item ids, or records with `item_id` and any columns of
                events. May be empty. Items that the shop does not know count only where a record, here or
                among the candidates, describes them (columns of items, such as `title`). Times count where
                every record has one.
            candidates: item ids, or records with `item_id` and columns of items. An item twice counts where
                it first comes. An unknown item is ranked by what its record says; an unknown bare id is an
                item without text. What is missing of a known item (a price, a text) is missing to the
                scorers, too, and never a zero.
            k: length of the answer; all candidates where it is None, or more than there are.
            explain: say for each item what moved it up.

        Returns:
            Items in order; equal scores keep the order of the retriever's scores, then that of the catalogue.

        Raises:
            InputError: an entry is neither an id nor a record with one, a record's column has a wrong type,
                one id or record stands in the place of a list, or `k` is below 1.
        """
        if k is not None and k < 1:
            raise InputError("k of at least 1, or None for all", f"{k}", "ask for more")
        asked = distinct(map(item_id, entries(candidates)))
        if not asked:
            return []
        history = heard(entries(history), candidates, self.retriever.prepared.item_ids)
        able = self._knowing([*history, *candidates])
        visitors, lists = able._lists([history], [asked])
        scores = able._scores(visitors, lists)
        run = ordered(lists, scores, visitors.user_ids, visitors.item_ids, k)
        reasons: Mapping[str, tuple[Reason, ...]] = {}
        if explain:
            reasons = reasons_of(able, history, lists, scores, run["item_id"].to_list())
        return [
            Ranked(
                rank,
                item,
                score,
                float(self.model.calibration(score)),
                reasons.get(item, ()),
                self.praise.get(item) if explain else None,
            )
            for rank, item, score in run.select("rank", "item_id", "score").iter_rows()
        ]

    def rank_many(self, frame: pl.DataFrame | pl.LazyFrame, k: int | None = None) -> pl.DataFrame:
        """The candidates of many users in order: some users at a time, with histories of similar length.

        Args:
            frame: one row a user: `user_id`; `history` and `candidates`, lists of item ids. What holds for
                :meth:`rank` holds for each row.
            k: length of each answer; all candidates unless told.

        Returns:
            user_id, rank, item_id, score: users in the order of the frame.

        Raises:
            InputError: a column is missing or of another type, a user is there twice, or `k` is below 1.
        """
        if k is not None and k < 1:
            raise InputError("k of at least 1, or None for all", f"{k}", "ask for more")
        tables = [self._block(block, k) for block in _blocks(_checked(frame))]
        found = pl.concat([pl.DataFrame(schema={"row": pl.UInt32(), **RUN}), *tables])
        return found.sort("row", "rank").drop("row")

    def in_order(self, shop: Prepared, candidates: pl.DataFrame, k: int | None = None) -> pl.DataFrame:
        """What the retriever found for a shop's users, in the ranker's order: user_id, rank, item_id, score.

        Args:
            shop: with the ranker's catalogue; what its users did is known.
            candidates: user_id, item_id, score, and a column for each source of the retriever.
            k: length of each answer; all candidates unless told.

        Raises:
            InputError: a candidate is of an unknown user or item, or twice in a list.
        """
        lists, scores = scored(self.model, shop, histories_of(shop), candidates)
        return ordered(lists, scores, shop.user_ids, shop.item_ids, k)

    def scores_of(self, histories: Sequence[Sequence[Given]], lists: Sequence[Sequence[str]]) -> list[Floats]:
        """Scores of each list in the order given; its items are known and distinct."""
        visitors, found = self._lists(histories, lists)
        scores = self._scores(visitors, found)
        answer = []
        for place, items in enumerate(lists):
            here = slice(found.offsets[place], found.offsets[place + 1])
            order = np.argsort(found.items[here])
            wanted = np.searchsorted(found.items[here][order], visitors.item_ids.rows(list(items)))
            answer.append(scores[here][order][wanted])
        return answer

    def _block(self, block: pl.DataFrame, k: int | None) -> pl.DataFrame:
        wanted = [distinct(items or []) for items in block["candidates"].to_list()]
        known = self.retriever.prepared.item_ids
        histories = [heard(items or [], [], known) for items in block["history"].to_list()]
        able = self._knowing([item for items in wanted for item in items])
        visitors, lists = able._lists(histories, wanted)
        run = ordered(lists, able._scores(visitors, lists), visitors.user_ids, visitors.item_ids, k)
        rows = block.select("row", place=pl.int_range(pl.len()).cast(pl.String), user_id="user_id")
        named = run.rename({"user_id": "place"}).join(rows, on="place", maintain_order="left")
        return named.select("row", *RUN)

    def _knowing(self, named: Sequence[Given]) -> "Ranker":
        """The ranker, with the items that it does not know added for this call."""
        more = unknown_items(named, self.retriever.prepared.item_ids)
        return self if more is None else self.with_items(more)

    def with_items(self, more: pl.DataFrame) -> "Ranker":
        """The ranker of a shop with more items, which are embedded from their texts; nothing is trained.

        Args:
            more: canonical items (:func:`aisle.data.visitors.items_of`).

        Raises:
            InputError: an item is there already or twice.
        """
        from aisle.data.text import render_items
        from aisle.retriever.additions import longer

        return self.over(longer(self.retriever, more, render_items(more, self.text)), more)

    def over(self, retriever: Retriever, more: pl.DataFrame) -> "Ranker":
        """The ranker with a retriever that has items behind those that this one knows.

        Args:
            retriever: with the same model otherwise.
            more: canonical items, those behind.
        """
        from aisle.data.text import render_items

        texts = render_items(more, self.text)
        return replace(self, model=self.model.longer(retriever, texts), retriever=retriever)

    def _lists(
        self, histories: Sequence[Sequence[Given]], wanted: Sequence[Sequence[str]]
    ) -> tuple[Prepared, Lists]:
        """Visitors numbered in the order given, and their lists in the order of the retriever's scores."""
        shop = self.retriever.prepared
        kind = shop.target_kinds[0]
        names = tuple(str(place) for place in range(len(histories)))
        events = [
            event
            for name, history in zip(names, histories, strict=True)
            for event in history_events(history, name, kind)
        ]
        visitors = Visitors(shop.folder, events_table(events, kind), shop, self.moment, names)
        rows: list[Rows] = [shop.item_ids.rows(list(items)) for items in wanted]
        table = self.retriever.asking(visitors).scored(np.arange(len(names)), PAST, rows)
        return visitors, Lists.of(table, visitors.user_ids, shop.item_ids)

    def _scores(self, visitors: Prepared, lists: Lists) -> Floats:
        return self.model.scores(self.model.features(lists, histories_of(visitors)), lists, visitors)


def _checked(frame: pl.DataFrame | pl.LazyFrame) -> pl.LazyFrame:
    """The three columns, numbered."""
    found = frame.lazy().collect_schema()
    wrong = [
        name for name, dtype in LISTS.items() if found.get(name) not in (dtype, pl.Null, pl.List(pl.Null))
    ]
    if wrong:
        raise InputError(
            "columns user_id (text), history and candidates (lists of text)",
            ", ".join(f"{name}: {found.get(name)}" for name in wrong),
            "one row a user; ids as text",
        )
    table = (
        frame.lazy().select(pl.col(name).cast(dtype) for name, dtype in LISTS.items()).with_row_index("row")
    )
    twice = table.filter(pl.col("user_id").is_duplicated()).head(1).collect()
    if len(twice):
        raise InputError("each user once", f"user {twice['user_id'][0]!r} twice", "join their candidates")
    return table


def _blocks(table: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    """Some users at a time, by the length of their histories: short ones are not padded to long ones."""
    ordered_rows = table.sort(pl.col("history").list.len(), maintain_order=True)
    for block in ordered_rows.collect_batches(chunk_size=AT_ONCE, maintain_order=True):
        yield from block.iter_slices(AT_ONCE)
