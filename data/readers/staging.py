"""Rows of files, staged as canonical Parquet in bounded memory, and a tally of what was found."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from aisle.data.errors import InputError
from aisle.data.mapping import FileMapping
from aisle.data.progress import meter
from aisle.data.readers.canonical import canonical, is_no_id
from aisle.data.readers.records import Record
from aisle.data.readers.shapes import DTYPES, SHAPES, identity, picker

CHUNK_ROWS = 50_000
CHUNK_BYTES = 32 << 20
"""A chunk is written when either is reached."""

ENOUGH = 1_000
"""Rows after which a file of mostly unreadable lines is given up."""


class Row(NamedTuple):
    """One row of a text file before its values are looked at.

    Attributes:
        number: line (from 1) that it begins on.
        record: its values by source column; None where the line could not be parsed.
        problem: why not.
        size: bytes or characters that it takes.
    """

    number: int
    record: Record | None
    problem: str | None
    size: int


@dataclass
class Tally:
    """What was found in one file.

    Attributes:
        rows: rows handed on.
        unparsed: those of them that could not be parsed.
        problems: rows by problem.
        unread: optional values left empty, by column.
        repeats: rows left out because they repeat an item (`first_per_item`).
    """

    file: str
    rows: int = 0
    unparsed: int = 0
    problems: Counter[str] = field(default_factory=Counter)
    unread: Counter[str] = field(default_factory=Counter)
    repeats: int = 0

    def count(self, chunk: pl.DataFrame) -> None:
        """Add a chunk that :func:`canonical` made."""
        self.rows += chunk.height
        for counter, column in ((self.problems, "problem"), (self.unread, "unread")):
            for value, number in chunk[column].drop_nulls().value_counts().iter_rows():
                for name in [value] if column == "problem" else value.split():
                    counter[name] += number

    def check_format(self, at_least: int = 1) -> None:
        """Raise InputError if most of the rows so far could not be parsed."""
        if self.rows >= at_least and 2 * self.unparsed > self.rows:
            raise InputError(
                "a file in one format throughout",
                f"{self.file}: {self.unparsed} of {self.rows} rows cannot be parsed ({self._commonest()})",
                "check the file, or set `format` (and `separator`, `quote`) for it in a mapping",
            )

    def check(self) -> None:
        """Raise InputError if the file is empty, mostly unparsable, or has no row without a problem."""
        if not self.rows:
            raise InputError("a file with rows", f"{self.file} is empty", "remove it, or fetch it again")
        self.check_format()
        if self.problems.total() == self.rows:
            raise InputError(
                "a file with readable rows",
                f"{self.file}: each of its {self.rows} rows has a problem ({self._commonest()})",
                "check the columns, kinds and units in the mapping",
            )

    def _commonest(self) -> str:
        return ", ".join(f"{problem}: {number}" for problem, number in self.problems.most_common(3))


class Stage:
    """Canonical Parquet in a folder (made here), written chunk by chunk."""

    def __init__(self, folder: Path, mapping: FileMapping, tally: Tally) -> None:
        folder.mkdir(parents=True)
        self.folder, self.mapping, self.tally = folder, mapping, tally
        self._parts = 0
        self._items = pl.Series("item_id", [], pl.String)

    def write(self, staged: pl.LazyFrame) -> None:
        """Add rows in staged columns.

        Raises:
            InputError: most rows so far could not be parsed.
        """
        chunk = canonical(staged, self.mapping, self.tally.file).collect()
        if self.mapping.first_per_item:
            chunk = self._without_repeats(chunk)
        self.tally.count(chunk)
        self.tally.check_format(ENOUGH)
        path = self.folder / f"{self._parts:05d}.parquet"
        chunk.drop("unread").write_parquet(path, compression="lz4")
        self._parts += 1

    def finish(self) -> pl.LazyFrame:
        """All rows.

        Raises:
            InputError: see :meth:`Tally.check`.
        """
        self.tally.check()
        return pl.scan_parquet(self.folder / "*.parquet")

    def _without_repeats(self, chunk: pl.DataFrame) -> pl.DataFrame:
        item = pl.col("item_id")
        new = chunk.filter(item.is_null() | (item.is_first_distinct() & ~item.is_in(self._items.implode())))
        self._items = pl.concat([self._items, new["item_id"].drop_nulls()])
        self.tally.repeats += chunk.height - new.height
        return new


def stage_rows(rows: Iterable[Row], mapping: FileMapping, folder: Path, tally: Tally) -> pl.LazyFrame:
    """Stage the rows of a text file.

    Raises:
        InputError: an id column mixes numbers and text, or what :class:`Stage` raises.
    """
    stage = Stage(folder, mapping, tally)
    names = list(mapping.columns)
    picks = [picker(name, mapping.sources(name)) for name in names]
    id_types = _IdTypes(mapping, tally.file)
    buffer: list[tuple[Any, ...]] = []
    unparsed = (None,) * len(names)
    size = 0
    with meter(f"reading {tally.file}") as counter:
        for row in rows:
            values, problem = None, row.problem
            if row.record is not None:
                id_types.look(row)
                values = _picked(picks, row.record)
                problem = problem if values else "nested too deeply"
            tally.unparsed += values is None
            buffer.append((row.number, problem, *(values or unparsed)))
            size += row.size
            if len(buffer) >= CHUNK_ROWS or size >= CHUNK_BYTES:
                stage.write(_frame(buffer, names))
                counter.advance(len(buffer))
                buffer.clear()
                size = 0
        if buffer:
            stage.write(_frame(buffer, names))
    return stage.finish()


def _picked(picks: list[Callable[[Record], Any]], record: Record) -> list[Any] | None:
    """The values of a record; None if it is nested deeper than can be followed."""
    try:
        return [pick(record) for pick in picks]
    except RecursionError:
        return None


def _frame(buffer: list[tuple[Any, ...]], names: list[str]) -> pl.LazyFrame:
    """Buffered rows as staged columns."""
    columns = [list(column) for column in zip(*buffer, strict=True)]
    dtypes = [pl.Int64(), pl.String(), *(DTYPES[SHAPES.get(name, "first")] for name in names)]
    return pl.LazyFrame(
        [
            pl.Series(name, column, dtype)
            for name, column, dtype in zip(["row", "problem", *names], columns, dtypes, strict=True)
        ]
    )


class _IdTypes:
    """Watches that an id column holds numbers or text, not both: 7 and "7" may or may not be one id."""

    def __init__(self, mapping: FileMapping, file: str) -> None:
        self.columns = [
            (source, set[type[object]]())
            for name in ("user_id", "item_id")
            for source in mapping.sources(name)
        ]
        self.file = file

    def look(self, row: Row) -> None:
        """Raise InputError if `row` has an id of the other type than the rows before it."""
        for source, types in self.columns:
            value = row.record.get(source) if row.record else None
            kind = str if type(value) is str else int if type(value) in (int, float) else None
            if kind is None or kind in types or is_no_id(identity(value)):
                continue
            types.add(kind)
            if len(types) > 1:
                raise InputError(
                    f"ids of one type in column {source!r}",
                    f"{self.file} mixes numbers and text, first on line {row.number}",
                    "write all ids of this column as text, or all as numbers",
                )
