"""Candidates for all users of a source, as one job: events to buckets, part after part, summary."""

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any

import polars as pl

from aisle.batch.parts import PartFiles
from aisle.batch.served import Served
from aisle.batch.stock import read_stock
from aisle.batch.summary import Summary, summarise
from aisle.batch.work import Work
from aisle.checksum import file_sha256
from aisle.data.buckets import Spilled, spill
from aisle.data.errors import InputError
from aisle.data.settings import TextSettings
from aisle.data.source import EventSource, File
from aisle.durable import write_whole
from aisle.lock import locked
from aisle.manifest import Manifest
from aisle.provenance import digest_of
from aisle.settings import Settings
from aisle.stage import Done, Folders, Stage
from aisle.stages import Workshop, whole_folder

LOG = logging.getLogger(__name__)

NAME = "batch"
"""Of the stage, and of the folder below `out`."""

NOTE = "source.json"
"""In the scratch folder of an unfinished job: which files it began with."""

EVENTS = "events"
"""In the scratch folder: the buckets."""

Engine = Callable[[Work, list[int]], None]
"""Does parts, in any order, each as `aisle.batch.work.Worker.do` does it."""


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        users: place of the events: a file, a folder, or an fsspec URL.
        run: folder of the run with the trained model.
        out: folder for the result.
        index: place of a nightly index of the run's model; None: the run's own.
        stock: table of what is in stock; None: all items are.
        stock_column: of it.
        rerank: the run's ranker has the last word.
        incremental: only users with new events since the last result in `out`.
    """

    users: str
    run: Path
    out: Path
    index: str | None = None
    stock: Path | None = None
    stock_column: str | None = None
    rerank: bool = False
    incremental: bool = False


def candidates_for_users(
    request: Request, settings: Settings, engine: Engine, *, redo: bool = False
) -> tuple[Done, Summary]:
    """Bring `out/batch/` up to date: candidates of every user of a source. Killed, the next call goes on.

    Args:
        request: what is asked for.
        settings: of candidates, of the search, of cleaning.
        engine: does the parts.
        redo: do it although nothing has changed.

    Raises:
        InputError: the source, the run, the stock or `out` cannot be used, or a file has changed meanwhile.
            What is finished stays; the next call goes on from there.
        IndexFault: the index cannot be used, or is another model's.
    """
    request = replace(request, run=request.run.resolve(), out=request.out.resolve())  # workers are elsewhere
    with locked(request.out):
        return _Job(request, settings, engine).run(redo)


class _Job:
    def __init__(self, request: Request, settings: Settings, engine: Engine) -> None:
        self.request = request
        self.settings = settings
        self.engine = engine
        self.workshop = Workshop(request.out)

    def run(self, redo: bool) -> tuple[Done, Summary]:
        request, begun = self.request, self._begun_version()
        with Served.open(request.run, rerank=request.rerank, place=request.index, begun=begun) as served:
            stock = None
            if self.request.stock is not None:
                stock = read_stock(self.request.stock, self.request.stock_column, served.items)
            before = self._before(served)
            besides = {
                **served.says,
                "stock": "all" if stock is None else digest_of({"ids": "\n".join(stock)}),
                "before": "" if before is None else before.digest,
            }
            source = EventSource(self.request.users)
            key = digest_of({**besides, "request": self._asked()})
            files = self._begun(key)
            if files is not None:
                LOG.info("going on with the %d files that were there when the job began", len(files))
                source.files = files

            def work(folders: Folders) -> None:
                note = {
                    "asked": self._asked(),
                    "version": served.version,
                    "key": key,
                    "files": [asdict(file) for file in source.files],
                }
                write_whole(folders.work / NOTE, json.dumps(note))
                self._work(folders, served, source, stock, before)

            stage = Stage(
                NAME,
                work,
                sources={"users": source.digest, **besides},
                settings=self._facts() | dict(served.says) | {"users": self.request.users},
                components=("data", "retriever", "index", *(("ranker",) if self.request.rerank else ())),
            )
            done = self.workshop.run(stage, redo=redo)
        return done, Summary.read(done.folder)

    def _begun(self, key: str) -> list[File] | None:
        """The files that an unfinished job of this key began with, if all of their events are in buckets."""
        for note in self._notes():
            if note["key"] == key:
                return [File(**file) for file in note["files"]]
        return None

    def _begun_version(self) -> tuple[str, str] | None:
        """The version of the index that an unfinished job of this request asked."""
        for note in self._notes():
            if note["asked"] == self._asked() and note["version"]:
                version, delta = note["version"]
                return str(version), str(delta)
        return None

    def _notes(self) -> Iterator[dict[str, Any]]:
        """What unfinished jobs whose events are all in buckets say of themselves."""
        for note in sorted((self.request.out / ".partial").glob(f"{NAME}-*.work/{NOTE}")):
            try:
                said = dict(json.loads(note.read_bytes()))
            except (OSError, ValueError):
                continue
            if Spilled.read(note.parent / EVENTS):
                yield said

    def _asked(self) -> str:
        """Digest of the request, whatever it finds."""
        places = {"users": self.request.users, "run": self.request.run, "index": self.request.index}
        return digest_of({**places, "facts": json.dumps(self._facts())})

    def _facts(self) -> dict[str, Any]:
        """What bears on the result besides the files that are read."""
        candidates, data = self.settings.candidates, self.settings.data
        return {
            "k": candidates.k,
            "part_events": candidates.part_events,
            "rerank": self.request.rerank,
            "incremental": self.request.incremental,
            "search": json.loads(self.settings.index.search.model_dump_json()),
            "clean": json.loads(data.clean.model_dump_json()),
            "mapping": None if data.mapping is None else file_sha256(data.mapping),
        }

    def _before(self, served: Served) -> Manifest | None:
        """The earlier result whose users may be carried over."""
        if not self.request.incremental:
            return None
        try:
            before = Manifest.read(whole_folder(self.request.out, NAME))
        except InputError:
            LOG.warning("there is no earlier result: all users are asked for")
            return None
        names = ("k", "rerank", "aisle.model", "aisle.ranker")
        now = self._facts() | dict(served.says)
        if before is None or any(before.settings.get(name) != now.get(name) for name in names):
            LOG.warning("the earlier result is of another model or another k: all users are asked for")
            return None
        return before

    def _work(
        self,
        folders: Folders,
        served: Served,
        source: EventSource,
        stock: pl.Series | None,
        before: Manifest | None,
    ) -> None:
        earlier = None if before is None else whole_folder(self.request.out, NAME)
        spilled = Spilled.read(folders.work / EVENTS)
        if spilled is None:
            parts = max(1, ceil(source.rows / self.settings.candidates.part_events))
            if earlier is not None:
                parts = Summary.read(earlier).parts
            text = TextSettings.model_validate(served.text)
            batches = source.batches(self.settings.data, timed=served.timed, chars=text.review_chars)
            spilled = spill(batches, folders.work / EVENTS, parts)
        if not spilled.events:
            said = ", ".join(f"{n:,} x {reason}" for reason, n in spilled.rejected.items()) or "no rows"
            raise InputError("events that can be used", f"{self.request.users}: {said}", "check the columns")
        listed = None
        if stock is not None:
            listed = folders.work / "stock.parquet"
            stock.to_frame().write_parquet(listed)
        work = Work(
            run=self.request.run,
            place=self.request.index,
            version=served.version,
            index=self.settings.index,
            out=folders.out,
            events=folders.work / EVENTS,
            stock=listed,
            k=self.settings.candidates.k,
            rerank=self.request.rerank,
            moment=spilled.moment if served.timed else None,
            previous=earlier,
            says=served.says,
        )
        todo = [part for part in range(spilled.buckets) if PartFiles(folders.out, part).whole() is None]
        if len(todo) < spilled.buckets:
            LOG.info("%d of %d parts are whole already", spilled.buckets - len(todo), spilled.buckets)
        if todo:
            self.engine(work, todo)
        in_stock = len(served.items) if stock is None else len(stock)
        summarise(folders.out, spilled, work.k, in_stock).write(folders.out)
