"""Which files of a folder are read, how, and by which mapping: the user's, else a built-in one."""

import re
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

from aisle.data.errors import InputError
from aisle.data.mapping import FileMapping, Format, Mapping, Table, load_mapping, nearest
from aisle.data.readers.delimited import first_line, guess_separator, header, is_recbole
from aisle.data.readers.json_lines import BULK_ACTIONS, bulk_action, json_columns, peek
from aisle.data.readers.lines import opened
from aisle.data.readers.parquet import parquet_columns
from aisle.data.readers.records import Parse, parse_json

MAPPING_NAME = "mapping.toml"
BUILT_IN = Path(__file__).with_name("mappings")

SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".inter": "recbole",
    ".item": "recbole",
    ".json": "jsonl",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}
"""Formats by the end of a file's name, a `.gz` taken off."""

JSON_FORMATS = ("jsonl", "bulk", "sequences")


@dataclass(frozen=True)
class Look:
    """What a first look at a file shows.

    Attributes:
        format: how it is written.
        columns: names of its columns, as far as the first rows tell.
        line: its first line, empty for Parquet.
        separator: between the fields of delimited text.
        parse: reads a line of JSON lines.
    """

    format: Format
    columns: tuple[str, ...]
    line: str = ""
    separator: str = ","
    parse: Parse = parse_json


@dataclass(frozen=True)
class Plan:
    """One reading of one file: a file with both items and events has two."""

    path: Path
    name: str
    look: Look
    mapping: FileMapping
    reader: str


@dataclass(frozen=True)
class Plans:
    """What will be read, and why other files will not."""

    plans: list[Plan] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)


def detect(source: Path, mapping: Path | None = None) -> Plans:
    """Look at the files of a folder (or at one file) and decide how each is read.

    A mapping (`mapping`, else `mapping.toml` in the folder) decides first; files that it does not name are
    compared with the built-in mappings: the one that asks for most is taken.

    Raises:
        InputError: no such folder; a file of a known kind is empty, damaged or undecodable; the mapping names
            a file or column that is not there.
    """
    if not source.exists():
        raise InputError("a folder with a shop's files", f"no such folder: {source}", "check the path")
    folder = source if source.is_dir() else source.parent
    if mapping is None and (folder / MAPPING_NAME).is_file():
        mapping = folder / MAPPING_NAME
    given = load_mapping(mapping) if mapping else None
    found = Plans()
    taken = _mapped(folder, source, given, found) if given and mapping else set[Path]()
    for path in _files(source):
        if path in taken or path.name.startswith((".", "_")) or path == mapping:
            continue
        name = path.name
        if given and any(fnmatch(name, pattern) for pattern in given.ignore):
            found.skipped[name] = "ignored by the mapping"
        elif path.is_dir():
            found.skipped[name] = "a folder"
        else:
            look = look_at(path)
            if isinstance(look, str):
                found.skipped[name] = look
                continue
            matches = built_in(name, look)
            if not matches:
                found.skipped[name] = _why_unknown(look)
            found.plans.extend(
                Plan(path, name, look, as_built_in(file, look), reader) for reader, file in matches
            )
    return found


def _files(source: Path) -> list[Path]:
    """What is in a folder, by name; a file itself."""
    try:
        return sorted(source.iterdir()) if source.is_dir() else [source]
    except OSError as error:
        raise InputError(
            "a folder that can be read", f"{source}: {error.strerror}", "check its rights"
        ) from None


def _mapped(folder: Path, source: Path, given: Mapping, found: Plans) -> set[Path]:
    """Plan the files that a mapping names, for each table by the first block that takes them.

    Raises:
        InputError: a pattern without files, or what :func:`as_given` raises.
    """
    taken: set[tuple[Path, Table]] = set()
    for file in given.file:
        paths = [path for path in sorted(folder.glob(file.match)) if path.is_file()]
        if source.is_file():
            paths = [path for path in paths if path == source]
        elif not paths:
            names = [path.name for path in _files(folder)]
            raise InputError(
                f"a file that matches {file.match!r}, which the mapping names",
                f"none in {folder}{nearest(file.match, names)}",
                "correct `match` in the mapping, or add the file",
            )
        for path in paths:
            if (path, file.table) in taken:
                continue
            name = path.relative_to(folder).as_posix()
            look = look_at(path, file)
            if isinstance(look, str):
                raise InputError(f"a file to read with {file.match!r}", f"{name}: {look}", "set `format`")
            if meets(file, look):
                found.plans.append(
                    Plan(path, name, look, as_given(file, path, look), f"mapping:{look.format}")
                )
                taken.add((path, file.table))
    return {path for path, _ in taken}


def look_at(path: Path, mapping: FileMapping | None = None) -> Look | str:
    """A first look at a file; a reason (in words) where it is not of a kind that can be looked at.

    Raises:
        InputError: the file is empty, damaged, or not text in the expected encoding.
    """
    suffix = Path(path.name.lower().removesuffix(".gz")).suffix
    form = (mapping.format if mapping else None) or SUFFIXES.get(suffix)
    encoding = mapping.encoding if mapping else "utf-8"
    if form is None:
        return f"an unknown kind of file ({suffix or 'no suffix'})"
    with opened(path) as stream:
        if not stream.read(1):
            raise InputError("a file with rows", f"{path.name} is empty", "remove it, or fetch it again")
    if form == "parquet":
        return Look(form, tuple(parquet_columns(path)))
    line = first_line(path, encoding)
    if form in JSON_FORMATS:
        parse, records = peek(path, encoding)
        if parse is None:
            if mapping:
                raise InputError(
                    "JSON lines", f"{path.name} begins {line[:60]!r}", "set `format` in the mapping"
                )
            return "not JSON lines, which have one object on each line"
        columns = dict.fromkeys(key for record in records for key in record)
        if form == "bulk" or bulk_action(records[0]) is not None:
            form = "bulk"
            columns = {name: None for name in (*columns, "_id") if name not in BULK_ACTIONS}
        return Look(form, tuple(columns), line, parse=parse)
    separator = mapping.separator if mapping and mapping.separator else guess_separator(line)
    if form == "tsv" and not (mapping and mapping.separator):
        separator = "\t"
    if form == "recbole" and not is_recbole(line) and not mapping:
        return "without RecBole's typed header (user_id:token ...)"
    quote = mapping.quote if mapping else ("" if form == "recbole" else '"')
    names = (mapping.names if mapping else ()) or header(line, separator, quote)
    return Look(form, tuple(names), line, separator)


@cache
def built_in_mappings() -> dict[str, Mapping]:
    """The mappings that come with the project, by name."""
    return {path.stem: load_mapping(path) for path in sorted(BUILT_IN.glob("*.toml"))}


def built_in(name: str, look: Look) -> list[tuple[str, FileMapping]]:
    """The blocks of the built-in mapping that fits a file best, at most one a table, each with its title."""
    best: tuple[int, list[tuple[str, FileMapping]]] = (0, [])
    for title, mapping in built_in_mappings().items():
        fitting = sorted((file for file in mapping.file if _fits(file, name, look)), key=_asks)
        per_table = {file.table: file for file in fitting}
        asked = max(map(_asks, fitting), default=0)
        if asked > best[0]:
            best = (asked, [(f"{title}:{look.format}", file) for file in per_table.values()])
    return best[1]


def _why_unknown(look: Look) -> str:
    """Why no built-in mapping takes a file; of an incomplete catalogue or events, what they lack."""
    (catalogue,) = built_in_mappings()["catalogue"].file
    events = min(built_in_mappings()["interactions"].file, key=_asks)
    read = {source for name in catalogue.columns for source in catalogue.sources(name)}
    lacks = [need for need in catalogue.needs if not _has_any(look, need)]
    if len(lacks) == 1 and read.issuperset(look.columns):
        has = _listed(look.columns)
        return f"a catalogue needs at least one more column, one of {_either(lacks)}; it has {has}"
    unknown = f"no known items or events in its columns ({_listed(look.columns)})"
    lacks = [need for need in events.needs if not _has_any(look, need)]
    if len(lacks) == 1:
        return f"{unknown}; events need at least one more, one of {_either(lacks)}"
    return unknown


def _either(lacks: list[str]) -> str:
    """The columns of which one is wanted."""
    return lacks[0].replace("|", ", ")


def _asks(file: FileMapping) -> int:
    """How much a block asks of a file; what a first line has to look like counts more than columns."""
    return len(file.needs) + 10 * (file.first_line is not None)


def _fits(file: FileMapping, name: str, look: Look) -> bool:
    formats = ("csv", "tsv", "jsonl", "parquet") if file.format is None else (file.format,)
    if file.format == "sequences":
        formats = ("jsonl",)
    return fnmatch(name.lower(), file.match) and look.format in formats and meets(file, look)


def meets(file: FileMapping, look: Look) -> bool:
    """Whether a file has what a block asks for."""
    return (file.first_line is None or re.search(file.first_line, look.line) is not None) and all(
        _has_any(look, need) for need in file.needs
    )


def _has_any(look: Look, need: str) -> bool:
    """Whether a file has one of the columns of a need (`sku|id`)."""
    return any(column in look.columns for column in need.split("|"))


def as_built_in(file: FileMapping, look: Look) -> FileMapping:
    """A built-in block for one file: its format filled in, alternatives that the file has not left out.

    Lines of JSON may have columns that the first ones lack, so there all alternatives stay.
    """
    columns: dict[str, str | tuple[str, ...]] = dict(file.columns)
    if look.format not in JSON_FORMATS:
        known = file.names or look.columns
        present = {name: tuple(s for s in file.sources(name) if _has(known, s)) for name in columns}
        columns = {name: sources for name, sources in present.items() if sources}
    return file.model_copy(update={"columns": columns, "format": file.format or look.format})


def as_given(file: FileMapping, path: Path, look: Look) -> FileMapping:
    """A block of the user's mapping for one file: its format filled in, its columns checked.

    Raises:
        InputError: a column is not in the file.
    """
    known = file.names or look.columns
    named = [(name, source) for name in file.columns for source in file.sources(name)]
    if look.format in JSON_FORMATS and not all(_has(known, source) for _, source in named):
        known = tuple(dict.fromkeys((*known, *json_columns(path, look.parse, file.encoding))))
    for canonical, source in named:
        if not _has(known, source):
            raise InputError(
                f"a column {source!r} in {path.name}, which the mapping names for {canonical}",
                f"columns {_listed(known)}{nearest(source, known)}",
                "correct the mapping",
            )
    return file.model_copy(update={"format": file.format or look.format})


def _has(known: tuple[str, ...], source: str) -> bool:
    """Whether a source, or what a path begins with, is among the columns."""
    return source in known or source.split(".")[0] in known


def _listed(columns: tuple[str, ...], most: int = 12) -> str:
    """Column names for a message."""
    more = f" and {len(columns) - most} more" if len(columns) > most else ""
    return ", ".join(columns[:most]) + more or "no columns"
