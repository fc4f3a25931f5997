"""The work on one part: its users' events in, their best items out. What every engine does, part by part."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aisle.batch.earlier import Earlier
from aisle.batch.parts import USERS, PartFiles, PartNote, digests
from aisle.data.buckets import read_bucket
from aisle.data.errors import InputError
from aisle.data.visitors import Visitors
from aisle.index.description import Description
from aisle.index.settings import IndexSettings
from aisle.index.versions import Versions
from aisle.recommender import PAST, Recommender
from aisle.retriever.arithmetic import return_freed_memory
from aisle.retriever.candidates import RUN, fingerprint
from aisle.retriever.weights import FUSED


@dataclass(frozen=True)
class Work:
    """All that a process needs to know to do parts; what it points to stays as it is while the job runs.

    Attributes:
        run: folder of the run with the trained model.
        place: of a nightly index; None: the run's own.
        version: of it, and the name of the changes to it.
        index: settings of the search in the run's own; a nightly index is searched as it was built.
        out: folder of the parts.
        events: folder of the buckets, one a part.
        stock: Parquet with the `item_id` of all that may be found; None: all items.
        k: items for each user.
        rerank: whether the run's ranker has the last word.
        moment: when the users ask, microseconds since 1970; None without times.
        previous: folder of an earlier result, whose users without new events keep what they had.
        says: what the metadata of each part says.
    """

    run: Path
    place: str | None
    version: tuple[str, str] | None
    index: IndexSettings
    out: Path
    events: Path
    stock: Path | None
    k: int
    rerank: bool
    moment: int | None
    previous: Path | None
    says: Mapping[str, str]


class Worker:
    """Does parts, with model and index loaded once.

    Raises:
        InputError: the run is not what the job began with, or damaged.
        IndexFault: the index is damaged, gone, or another model's.
    """

    def __init__(self, work: Work) -> None:
        self.work = work
        load = Recommender.load if work.rerank else Recommender.open
        if work.place is None or work.version is None:
            self.recommender = load(work.run, work.index)
            seal = Description.read(work.run / "index").seal
        else:
            version, delta = work.version
            opened = Versions(work.place).open(version=version, delta=delta, model=work.says["aisle.model"])
            self.recommender = load(work.run, index=opened)
            seal = opened.stored.description.seal
        model = fingerprint(work.run / "train" / "model")
        for what, found in (("model", model), ("index", seal)):
            if found != work.says[f"aisle.{what}"]:
                began = work.says[f"aisle.{what}"][:12]
                fix = "start the job again"
                raise InputError(f"the {what} that the job began with, {began}", f"{found[:12]}", fix)
        self.shop = self.recommender.prepared
        self.retriever = self.recommender.retriever
        allowed = self.retriever.allowed
        self.allowed = np.ones(len(self.shop.item_ids), np.bool_) if allowed is None else allowed
        if work.stock is not None:
            ids = pl.read_parquet(work.stock)["item_id"]
            self.allowed = self.allowed & self.shop.item_ids.values.is_in(ids.implode()).to_numpy()
        if not self.allowed.all():
            self.retriever = self.retriever.allowing(self.allowed)

    def do(self, part: int) -> PartNote:
        """Bring one part about: its files, and last its note. Doing it twice gives the same files."""
        files = PartFiles(self.work.out, part)
        events = read_bucket(self.work.events, part)
        users = digests(events)
        earlier = None
        if self.work.previous is not None:
            items = self.shop.item_ids.values.filter(pl.Series(self.allowed))
            earlier = Earlier.of(self.work.previous, part, users, items, self.work.k)
        new = users if earlier is None else users.filter(~pl.col("user_id").is_in(earlier.users.implode()))
        with files.writing(self.work.says) as (found, known):
            counts = [self._known(new, events, found.append)]
            if earlier is not None:
                for rows in earlier.rows():
                    found.append(rows)
                counts.append(earlier.known)
            known.append(pl.concat([one.select(USERS.names()) for one in counts]))
        note = files.finish()
        return_freed_memory()
        return note

    def _known(
        self, users: pl.DataFrame, events: pl.DataFrame, write: Callable[[pl.DataFrame], None]
    ) -> pl.DataFrame:
        """Write the candidates of some users; what is known of each user afterwards."""
        mine = events.filter(pl.col("user_id").is_in(users["user_id"].implode()))
        asked = Visitors(
            self.shop.folder, mine, self.shop, self.work.moment, tuple(users["user_id"].to_list())
        )
        tables = []
        for block in self._blocks(asked):
            write(block)
            tables.append(block.group_by("user_id").agg(found=pl.len().cast(pl.Int64)))
        found = pl.concat([pl.DataFrame(schema={"user_id": pl.String(), "found": pl.Int64()}), *tables])
        left = users.with_columns(left=pl.Series(self._left(asked), dtype=pl.Int64))
        return left.join(found, on="user_id", how="left", maintain_order="left").with_columns(
            pl.col("found").fill_null(0),
            carried=pl.lit(False),
            index=pl.lit(self.work.says["aisle.index"]),
        )

    def _blocks(self, asked: Visitors) -> Iterator[pl.DataFrame]:
        from aisle.ranker.ranking import histories_of, ordered, scored

        ranker = self.recommender.ranker if self.work.rerank else None
        wanted = min(self.recommender.retrieved(self.work.k), len(self.shop.item_ids))
        histories = None if ranker is None else histories_of(asked)
        for block in self.retriever.asking(asked).blocks(PAST, wanted, alone=False):
            if ranker is None or histories is None or not len(block[FUSED]):
                yield block[FUSED].select(RUN.names())
                continue
            lists, scores = scored(ranker.model, asked, histories, block[FUSED])
            yield ordered(lists, scores, asked.user_ids, asked.item_ids, self.work.k)

    def _left(self, asked: Visitors) -> NDArray[np.int64]:
        """Items in stock that each user has not seen."""
        items = len(self.allowed)
        seen = asked.histories(*PAST, kinds=asked.seen_kinds)
        owner = np.repeat(np.arange(len(seen)), seen.lengths)
        pairs = np.unique(owner * items + seen.items)
        pairs = pairs[self.allowed[pairs % items]]
        gone: NDArray[np.int64] = np.bincount(pairs // items, minlength=len(seen))
        return int(self.allowed.sum()) - gone
