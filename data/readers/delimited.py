"""Delimited text as rows: CSV, TSV and RecBole's atomic files."""

import csv
import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from aisle.data.errors import InputError
from aisle.data.mapping import FileMapping
from aisle.data.readers.lines import text_lines
from aisle.data.readers.staging import Row

SEPARATORS = ",\t;|^"
RECBOLE_FIELD = re.compile(r"(\w+):(token|token_seq|float|float_seq)$")
"""A column in the header of a RecBole file: name and type."""


def guess_separator(line: str) -> str:
    """The separator that the line has most of; a comma where it has none.

    >>> guess_separator("user;item;rating")
    ';'
    """
    return max(SEPARATORS, key=line.count)


def first_line(path: Path, encoding: str = "utf-8") -> str:
    """The first line that is not blank, without its line end; empty for an empty file."""
    return next((line.rstrip("\r\n") for _, line in text_lines(path, encoding) if line.strip()), "")


def header(line: str, separator: str, quote: str = '"') -> list[str]:
    """Column names in a header line, RecBole's types taken off; broken quotes are part of the names."""
    try:
        fields = next(_reader(iter([line]), separator, quote), [])
    except csv.Error:
        fields = line.split(separator)
    return [RECBOLE_FIELD.sub(r"\1", field.strip()) for field in fields]


def is_recbole(line: str) -> bool:
    """Whether a header line has RecBole's typed columns."""
    return all(RECBOLE_FIELD.match(field.strip()) for field in line.split(guess_separator(line)))


def delimited_rows(path: Path, mapping: FileMapping, separator: str) -> Iterator[Row]:
    """The rows of a delimited file under the names of its columns; blank lines are none.

    A row spans lines where quotes do. One with too many or too few fields, or broken quotes, has a problem.
    A quote that is never closed, or in the wrong place, takes one line with it: the next ones are read anew.

    Raises:
        InputError: two columns of one name are to be read, or what
            :func:`aisle.data.readers.lines.text_lines` raises.
    """
    lines = _Lines(path, mapping.encoding)
    quote = "" if mapping.format == "recbole" else mapping.quote
    reader = _reader(lines, separator, quote)
    names: list[str] | None = list(mapping.names) or None
    while True:
        begin = lines.number + 1
        lines.begin()
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if names is None:
                raise InputError(
                    "a header line with column names", f"{path.name}, line {begin}: {error}", "check `quote`"
                ) from None
            lines.after_first()
            yield Row(begin, None, _complaint(str(error)), lines.size)
            continue
        if not any(field.strip() for field in fields) and (len(fields) < 2 or names is None):
            continue
        if names is None:
            names = [RECBOLE_FIELD.sub(r"\1", field.strip()) for field in fields]
            _check_names(names, mapping, path)
        elif len(fields) != len(names):
            yield Row(begin, None, "wrong number of fields", lines.size)
        else:
            yield Row(begin, dict(zip(names, fields, strict=True)), None, lines.size)


def _check_names(names: list[str], mapping: FileMapping, path: Path) -> None:
    wanted = {source for name in mapping.columns for source in mapping.sources(name)}
    twice = next((name for name in names if name in wanted and names.count(name) > 1), None)
    if twice is not None:
        found = f"{path.name} has {names.count(twice)} columns {twice!r}"
        raise InputError("columns with different names", found, "rename or remove the others")


class _Lines:
    """Lines of a text file for the csv module.

    Attributes:
        number: of the last line.
        size: characters since the row began.
    """

    def __init__(self, path: Path, encoding: str) -> None:
        self._lines = text_lines(path, encoding)
        self._row: list[tuple[int, str]] = []
        self._again: deque[tuple[int, str]] = deque()
        self.number = self.size = 0

    def begin(self) -> None:
        """A row begins with the next line."""
        self._row.clear()
        self.size = 0

    def after_first(self) -> None:
        """Go back to the line after the one that the row began with."""
        (self.number, first), *others = self._row
        self._again.extendleft(reversed(others))
        self.size = len(first)

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        self.number, line = self._again.popleft() if self._again else next(self._lines)
        self._row.append((self.number, line))
        self.size += len(line)
        body = line.rstrip("\r\n")
        return (body.replace("\r", " ") if "\r" in body else body) + "\n"


def _reader(lines: Iterator[str], separator: str, quote: str) -> "Iterator[list[str]]":
    if not quote:
        return csv.reader(lines, delimiter=separator, quoting=csv.QUOTE_NONE, quotechar=None)
    return csv.reader(lines, delimiter=separator, quotechar=quote, strict=True)


def _complaint(error: str) -> str:
    if "unexpected end of data" in error:
        return "unclosed quote"
    return "field too long" if "field limit" in error else "broken quotes"
