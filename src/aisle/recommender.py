"""Recommendations from Python: for the shop's users, for visitors of this moment, with items that are new."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from aisle.data.errors import InputError
from aisle.data.prepared import BEFORE, Part, Prepared
from aisle.data.settings import TextSettings
from aisle.data.visitors import Longer, Visitors, events_of, items_of, last_moment, moment_of
from aisle.index.settings import IndexSettings
from aisle.stages import Workshop

if TYPE_CHECKING:
    from aisle.data.ids import Rows
    from aisle.index.versions import Opened
    from aisle.ranker.ranker import Ranked, Ranker
    from aisle.ranker.records import Given
    from aisle.retriever.candidates import Retriever

PAST: tuple[Part, ...] = BEFORE["test"]


@dataclass(frozen=True, eq=False)
class Recommender:
    """A run's trained retriever, and its ranker if there is one, answering one user or many.

    >>> shop = Recommender.load("runs/shop")  # doctest: +SKIP
    >>> shop.recommend(history=["B0001", "B0002"], k=10)  # doctest: +SKIP
    >>> shop.for_users(["u1", "u2"], k=10)  # doctest: +SKIP
    >>> shop.for_visitors(pl.DataFrame({"user_id": ["new"], "item_id": ["B0001"]}))  # doctest: +SKIP

    Attributes:
        prepared: the shop as the retriever learned it.
        retriever: model and index.
        text: how items become text.
        opened: the version of a nightly index that answers, kept from being collected; None: the run's own.
        ranker: puts what is retrieved in order; None: the retriever's order stays.
    """

    prepared: Prepared
    retriever: "Retriever"
    text: TextSettings
    ranker: "Ranker | None" = None
    opened: "Opened | None" = None

    @classmethod
    def load(
        cls,
        out: str | Path,
        settings: IndexSettings | None = None,
        *,
        index: "str | Path | Opened | None" = None,
    ) -> "Recommender":
        """The recommender of the results in `out`: with the ranker, if `aisle ranker` has trained one there.

        Args:
            out: folder of a run.
            settings: where and how hard to search; None: the defaults, or as a nightly index was built.
            index: place of a nightly index (`aisle index rebuild --run`), whose live version answers, or a
                version of it that is open; None: the run's own.

        Raises:
            InputError: a stage is missing or damaged.
            IndexFault: the index is damaged, or of another model or language model.
        """
        out = Path(out)
        found = cls.open(out, settings, index=index)
        if not (out / "ranker" / "manifest.json").exists():
            return found
        from aisle.ranker.model import RankerModel
        from aisle.ranker.praise import read_praise
        from aisle.ranker.ranker import Ranker
        from aisle.retriever.served import texts_of

        Workshop(out).input("ranker")
        model, praise = RankerModel.load(out / "ranker"), read_praise(out / "ranker")
        if isinstance(found.prepared, Longer) and found.opened is not None:
            more = found.prepared.more["item_id"]
            model = model.longer(found.retriever, texts_of(found.opened.stored, more))
        return replace(found, ranker=Ranker(model, found.retriever, found.text, praise, found._moment))

    @classmethod
    def open(
        cls, out: Path, settings: IndexSettings | None = None, *, index: "str | Path | Opened | None" = None
    ) -> "Recommender":
        """The recommender of the results in `out`, every file of them checked, without the ranker.

        Arguments and errors are those of :meth:`load`.
        """
        from aisle.retriever.candidates import Retriever

        workshop = Workshop(out)
        names = ("prepare", "train") if index is not None else ("prepare", "train", "index")
        used = {name: workshop.input(name) for name in names}
        prepared = Prepared(out / "prepare")
        if index is not None:
            from aisle.index.versions import Opened, Versions
            from aisle.retriever.candidates import fingerprint
            from aisle.retriever.model import load
            from aisle.retriever.served import serving

            folder = out / "train" / "model"
            opened = index
            if not isinstance(opened, Opened):
                opened = Versions(opened).open(settings, model=fingerprint(folder))
            served = serving(prepared, load(folder), opened.stored, settings or IndexSettings())
            text = TextSettings.model_validate(used["train"].settings["text"])
            return cls(served.prepared, served, text, opened=opened)
        retriever = Retriever.load(
            prepared, out / "train" / "model", out / "index", settings or IndexSettings()
        )
        return cls(prepared, retriever, TextSettings.model_validate(used["train"].settings["text"]))

    def recommend(self, history: "Sequence[Given]", k: int = 10, *, explain: bool = False) -> "list[Ranked]":
        """The `k` best items for somebody with a history: retrieved, then ranked.

        With a ranker, as many are retrieved as its lists of training held (`ranker.pairs.depth`).

        Args:
            history: item ids, or records with `item_id` and columns of events, oldest first; may be empty.
            k: items wanted.
            explain: say for each item what moved it up; takes a ranker.

        Returns:
            Unseen items in order. Without a ranker, scores and order are the retriever's.

        Raises:
            InputError: the history cannot be read, `k` is below 1, or reasons are asked for without a ranker.
        """
        from aisle.ranker.ranker import Ranked
        from aisle.ranker.records import entries, events_table, history_events

        if explain and self.ranker is None:
            raise InputError("a ranker to explain", "none in this run", "run `aisle ranker` first")
        kind = self.prepared.target_kinds[0]
        events = events_table(history_events(entries(history), "0", kind), kind)
        visitors = Visitors(self.prepared.folder, events, self.prepared, self._moment, ("0",))
        found = self.retriever.asking(visitors).candidates(np.zeros(1, np.int64), PAST, self.retrieved(k))
        if self.ranker is not None:
            return self.ranker.rank(history, found["item_id"].to_list(), k, explain=explain)
        return [Ranked(*row) for row in found.select("rank", "item_id", "score").iter_rows()]

    def for_users(self, user_ids: list[str], k: int = 10) -> pl.DataFrame:
        """The `k` best unseen items of users of the shop, after all they did before the test part.

        With a ranker, they are retrieved and ranked as in :meth:`recommend`.

        Returns:
            user_id, rank, item_id, score; without a ranker also the score of each source.

        Raises:
            InputError: a user is unknown (use :meth:`for_visitors`), or `k` is below 1.
        """
        return self._best(self.retriever, self.prepared.user_ids.rows(user_ids), k)

    def for_visitors(self, events: pl.DataFrame, k: int = 10, now: datetime | None = None) -> pl.DataFrame:
        """The `k` best unseen items of anybody, after the events that are given; training is not needed.

        Args:
            events: `user_id`, `item_id`, and other columns of events (:mod:`aisle.data.schema`), oldest first
                for each user; without `kind` all are of the first target kind. Items that are not in the
                catalogue are passed over.
            k: items for each user.
            now: when they ask; None: when the shop's last event before the test part happened.

        Returns:
            As :meth:`for_users`.

        Raises:
            InputError: the table cannot be read as events, or `k` is below 1.
        """
        given = events_of(events, self.prepared.target_kinds[0])
        moment = self._moment if now is None else moment_of(now)
        visitors = Visitors(self.prepared.folder, given, self.prepared, moment)
        everybody = np.arange(len(visitors.user_ids))
        return self._best(self.retriever.asking(visitors), everybody, k)

    def with_items(self, items: pl.DataFrame) -> "Recommender":
        """The same, its ranker too, with new items, which are embedded from their texts; nothing is trained.

        Args:
            items: `item_id` and other columns of items (:mod:`aisle.data.schema`).

        Raises:
            InputError: an item is there already, or a column is unknown.
        """
        from aisle.data.text import render_items
        from aisle.retriever.additions import longer

        more = items_of(items)
        ranker = self.ranker and self.ranker.with_items(more)
        retriever = (
            ranker.retriever if ranker else longer(self.retriever, more, render_items(more, self.text))
        )
        return Recommender(retriever.prepared, retriever, self.text, ranker, self.opened)

    def _best(self, retriever: "Retriever", users: "Rows", k: int) -> pl.DataFrame:
        """The `k` best items of users of the retriever's shop, ranked if there is a ranker."""
        found = retriever.candidates(users, PAST, self.retrieved(k))
        return found if self.ranker is None else self.ranker.in_order(retriever.prepared, found, k)

    def retrieved(self, k: int) -> int:
        """Items to retrieve: with a ranker, lists as long as those that it learned from.

        Raises:
            InputError: `k` below 1.
        """
        if k < 1:
            raise InputError("k of at least 1", f"{k}", "ask for more")
        return k if self.ranker is None else max(k, self.ranker.model.settings.pairs.depth)

    @cached_property
    def _moment(self) -> int | None:
        return last_moment(self.prepared)
