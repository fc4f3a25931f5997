"""Rows of text files, staged as canonical Parquet in bounded memory, and the tally of what was found in them."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from aisle.data.errors import InputError
from aisle.data.mapping import FileMapping
from aisle.data.readers.canonical import canonical
from aisle.data.readers.records import Record
from aisle.data.readers.shapes import DTYPES, SHAPES, picker

CHUNK_ROWS = 50_000
CHUNK_BYTES = 32 << 20
"""A chunk is written when either is reached."""

ENOUGH = 1_000
"""Rows after which a file of mostly unreadable lines is given up."""


@dataclass(frozen=True, slots=True)
class Row:
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


def stage(rows: Iterable[Row], mapping: FileMapping, folder: Path, tally: Tally) -> pl.LazyFrame:
    """Write `rows` as canonical Parquet into `folder` (made here) and scan it.

    Raises:
        InputError: an id column mixes numbers and text, or what :meth:`Tally.check` raises.
    """
    folder.mkdir(parents=True)
    names = list(mapping.columns)
    picks = [picker(name, mapping.sources(name)) for name in names]
    id_types = _IdTypes(mapping, tally.file)
    buffer: list[tuple[Any, ...]] = []
    unparsed = (None,) * len(names)
    seen: set[str] = set()
    item = names.index("item_id") if mapping.first_per_item else -1
    size = part = 0

    def flush() -> None:
        nonlocal size, part
        chunk = canonical(_frame(buffer, names), mapping, tally.file).collect()
        tally.count(chunk)
        tally.check_format(ENOUGH)
        chunk.drop("unread").write_parquet(folder / f"{part:05d}.parquet", compression="lz4")
        buffer.clear()
        size, part = 0, part + 1

    for row in rows:
        if row.record is None:
            tally.unparsed += 1
            buffer.append((row.number, row.problem, *unparsed))
        else:
            id_types.look(row)
            values = _picked(picks, row.record)
            if values is None:
                tally.unparsed += 1
                buffer.append((row.number, "nested too deeply", *unparsed))
            elif mapping.first_per_item and values[item] in seen:
                tally.repeats += 1
                continue
            else:
                if mapping.first_per_item and values[item]:
                    seen.add(values[item])
                buffer.append((row.number, row.problem, *values))
        size += row.size
        if len(buffer) >= CHUNK_ROWS or size >= CHUNK_BYTES:
            flush()
    if buffer:
        flush()
    tally.check()
    return pl.scan_parquet(folder / "*.parquet")


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
            (source, set[type]()) for name in ("user_id", "item_id") for source in mapping.sources(name)
        ]
        self.file = file

    def look(self, row: Row) -> None:
        """Raise InputError if `row` has an id of the other type than the rows before it."""
        for source, types in self.columns:
            kind = type(row.record.get(source)) if row.record else str
            if kind is float:
                kind = int
            if kind in (int, str) and kind not in types:
                types.add(kind)
                if len(types) > 1:
                    raise InputError(
                        f"ids of one type in column {source!r}",
                        f"{self.file} mixes numbers and text; the first of another type is on line {row.number}",
                        "write all ids of this column as text, or all as numbers",
                    )
