"""What leak checks look at."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aisle.data.history import event_time
from aisle.data.schema import EVENTS, of_kinds
from aisle.eval.events import events_of
from aisle.eval.leaks.finding import Finding, Severity
from aisle.eval.runs import require_columns

Strategy = Literal["leave_one_out", "time", "ratio", "users"]
"""How tested events were split off: the last of each user, all from a moment on, or those of other users."""

EXAMPLES = 5
"""Cases that a finding names."""


@dataclass(frozen=True)
class Material:
    """Data of an evaluation. What is None is not known, and checks that need it are left out.

    Attributes:
        parts: canonical events of train, validation and test.
        strategy: how they were split.
        target_kinds: kinds of events that make an item relevant; empty: all.
        masked: whether what a user has seen may not be recommended.
        items: the catalogue, in its order: item_id, and columns in which checks look for numbers.
        texts: makes the table (item_id, text) of what models read about the items.
        corpus: whatever else a model was trained to read.
        seen_kinds: kinds of events that take an item out of a user's results; empty: all.
        users: what models know of the users: user_id, and columns in which checks look for numbers.
        extras: train, row for row: user_id, item_id, `time`, and the columns that are not those of events.
    """

    parts: Mapping[str, pl.LazyFrame]
    strategy: Strategy | None = None
    target_kinds: Sequence[Any] = ()
    masked: bool = True
    items: pl.DataFrame | None = None
    texts: Callable[[], pl.DataFrame] | None = None
    corpus: Sequence[str] | None = None
    seen_kinds: Sequence[Any] = ()
    users: pl.DataFrame | None = None
    extras: pl.DataFrame | None = None

    @classmethod
    def of_files(
        cls,
        train: pl.DataFrame,
        truth: pl.DataFrame,
        *,
        strategy: Strategy | None = None,
        items: pl.DataFrame | None = None,
        users: pl.DataFrame | None = None,
    ) -> "Material":
        """Anybody's tables: what models learned from, what users wanted, and the catalogue.

        Args:
            train: user_id and item_id; if there are any, timestamp, position, rating and text count, too, and
                other columns are looked at as features.
            truth: the same, without features.
            items: item_id, texts and numbers.
            users: user_id and numbers.

        Raises:
            InputError: a column is missing, or no date where a date is expected.
        """
        relevant = truth.filter(pl.col("relevance") > 0) if "relevance" in truth.columns else truth
        parts = {"train": events_of(train, "train"), "test": events_of(relevant, "truth")}
        parts["validation"] = parts["train"].head(0)
        texts = None
        if items is not None:
            items = items.with_columns(pl.col("item_id").cast(pl.String))
            words = [name for name in items.select(pl.selectors.string()).columns if name != "item_id"]
            if words:
                told = items.select("item_id", text=pl.concat_str(words, separator=" ", ignore_nulls=True))
                texts = told.clone
        if users is not None:
            require_columns(users, "user_id", what="the table of users")
            users = users.with_columns(pl.col("user_id").cast(pl.String))
        of_events = parts["train"].select("user_id", "item_id", time=event_time()).collect()
        extras = of_events.hstack(train.drop("time", *EVENTS.names(), strict=False))
        return cls(parts, strategy, masked=False, items=items, texts=texts, users=users, extras=extras)

    @cached_property
    def past(self) -> pl.DataFrame:
        """Events on items before the tested ones: user_id, item_id, kind, time, rating, target."""
        return self._light("train", "validation")

    @cached_property
    def test(self) -> pl.DataFrame:
        """The tested events on items, the same columns."""
        return self._light("test")

    @cached_property
    def pairs(self) -> pl.DataFrame:
        """What is wanted: distinct user_id, item_id, and the last time that it was taken."""
        wanted = self.test.filter("target").group_by("user_id", "item_id").agg(time=pl.col("time").max())
        return wanted.sort("user_id", "item_id")

    @cached_property
    def known(self) -> pl.DataFrame:
        """Those of :attr:`pairs` that occur in the past, and their first time there (`known`)."""
        known = self.past.group_by("user_id", "item_id").agg(known=pl.col("time").min())
        return self.pairs.join(known, on=["user_id", "item_id"]).sort("user_id", "item_id")

    @cached_property
    def seen(self) -> pl.DataFrame:
        """Those of :attr:`pairs` that may not be recommended: user_id, item_id."""
        kinds = of_kinds(self.seen_kinds) if self.seen_kinds else pl.lit(True)
        return self.pairs.join(self.past.filter(kinds), on=["user_id", "item_id"], how="semi")

    @cached_property
    def ordered(self) -> bool:
        """Whether every event has a date, or a place in its user's history."""
        untimed = pl.col("timestamp").is_null() & pl.col("position").is_null()
        return not any(part.select(untimed.any()).collect().item() for part in self.parts.values())

    @cached_property
    def dated(self) -> bool:
        """Whether every event has a date."""
        undated = pl.col("timestamp").is_null().any()
        return not any(part.select(undated).collect().item() for part in self.parts.values())

    @cached_property
    def worded(self) -> bool:
        """Whether any tested event has words."""
        return bool(self.parts["test"].select(pl.col("text").is_not_null().any()).collect().item())

    @cached_property
    def catalogue(self) -> pl.Series:
        """Ids of the catalogue in its order, or of all items of events, sorted."""
        if self.items is not None:
            return self.items["item_id"]
        return pl.concat([self.past["item_id"], self.test["item_id"]]).unique().sort()

    def places(self, ids: pl.Series) -> NDArray[np.int64]:
        """Place of each id in :attr:`catalogue`, -1 for one that is not there, int64 of the same length."""
        known = self.catalogue.unique(maintain_order=True)
        rows = pl.Series(np.arange(len(known)), dtype=pl.Int64)
        return ids.replace_strict(known, rows, default=-1, return_dtype=pl.Int64).to_numpy()

    def _light(self, *parts: str) -> pl.DataFrame:
        target = of_kinds(self.target_kinds) if self.target_kinds else pl.lit(True)
        chosen = pl.concat([self.parts[part] for part in parts]).filter(pl.col("item_id").is_not_null())
        return chosen.select(
            "user_id",
            "item_id",
            "kind",
            "rating",
            time=event_time(),
            target=target.fill_null(True),
        ).collect()


@dataclass(frozen=True)
class Check:
    """One check: a name, what it needs, and what it finds.

    Attributes:
        lacks: says what is missing in the material; None where the check can be made.
    """

    name: str
    find: Callable[[Material], Iterator[Finding]]
    lacks: Callable[[Material], str | None] = field(default=lambda _: None)

    def finding(self, severity: Severity, what: str, evidence: Sequence[str], fix: str) -> Finding:
        """A finding of this check, with the first cases alone."""
        return Finding(
            check=self.name, severity=severity, what=what, evidence=[*evidence[:EXAMPLES]], fix=fix
        )


def quoted(frame: pl.DataFrame, pattern: str) -> list[str]:
    """The first rows of `frame` as text: `pattern` filled with their columns."""
    return [pattern.format(**row) for row in frame.head(EXAMPLES).iter_rows(named=True)]
