"""All files of a shop as canonical rows, with a report on each file."""

import logging
import shutil
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from aisle.data.detect import Plan, detect
from aisle.data.errors import InputError
from aisle.data.mapping import Table
from aisle.data.readers.delimited import delimited_rows
from aisle.data.readers.json_lines import bulk_rows, json_rows, sequence_rows
from aisle.data.readers.parquet import stage_parquet
from aisle.data.readers.staging import Tally, stage_rows

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FileReport:
    """What was read from one file.

    Attributes:
        file: path inside the data folder.
        reader: mapping and format, such as `amazon-2018:jsonl`; None where the file was not read.
        table: what its rows are; None where the file was not read.
        rows: rows handed on, those with a problem included.
        note: what the numbers do not say: why a file was not read, values left empty, rows not handed on.
    """

    file: str
    reader: str | None
    table: Table | None
    rows: int
    note: str = ""


@dataclass(frozen=True)
class RawShop:
    """Rows of a shop as its files have them, in canonical columns.

    Attributes:
        items: columns of `ITEMS`, then source (file), row (line or row, from 1), problem (null if fine);
            None where no file has items.
        events: columns of `EVENTS`, then the same three; None where no file has events.
        files: one report for each file and table, files that were not read included.
    """

    items: pl.LazyFrame | None
    events: pl.LazyFrame | None
    files: list[FileReport]


def read_shop(source: Path, *, mapping: Path | None, work: Path) -> RawShop:
    """Read all files of a shop.

    The rows are staged as Parquet under `work`, in bounded memory, and scanned there: the folder has to stay
    until they have been used. No row is dropped: one that cannot be understood has a `problem`.

    Args:
        source: folder with the shop's files, or one file.
        mapping: mapping file (see docs/data.md); else `mapping.toml` in the folder, else built-in ones.
        work: folder for staged rows; what an earlier call staged there is replaced.

    Raises:
        InputError: nothing to read; or a file that is empty, damaged, undecodable, mostly unparsable, or not
            what the mapping says.
    """
    found = detect(source, mapping)
    if not found.plans:
        seen = "; ".join(f"{name}: {reason}" for name, reason in found.skipped.items()) or "no files"
        raise InputError(
            "files with items or events",
            f"none in {source} ({seen})",
            "describe the files' columns in a mapping (docs/data.md shows one)",
        )
    folder = work / "staged"
    shutil.rmtree(folder, ignore_errors=True)
    tables: dict[Table, list[pl.LazyFrame]] = {"items": [], "events": []}
    files = [FileReport(name, None, None, 0, reason) for name, reason in found.skipped.items()]
    for name, reason in found.skipped.items():
        log.warning("%s is not read: %s", name, reason)
    for number, plan in enumerate(found.plans):
        tally = Tally(plan.name)
        tables[plan.mapping.table].append(_read(plan, folder / f"{number:04d}-{plan.mapping.table}", tally))
        files.append(FileReport(plan.name, plan.reader, plan.mapping.table, tally.rows, _note(plan, tally)))
    return RawShop(_together(tables["items"]), _together(tables["events"]), files)


def _read(plan: Plan, folder: Path, tally: Tally) -> pl.LazyFrame:
    """Canonical rows of one file."""
    file = plan.mapping
    if file.format == "parquet":
        return stage_parquet(plan.path, file, folder, tally)
    if file.format in ("csv", "tsv", "recbole"):
        rows = delimited_rows(plan.path, file, file.separator or plan.look.separator)
        return stage_rows(rows, file, folder, tally)
    rows = json_rows(plan.path, plan.look.parse, file.encoding)
    if file.format == "bulk":
        return stage_rows(bulk_rows(rows), file, folder, tally)
    if file.format != "sequences":
        return stage_rows(rows, file, folder, tally)
    unrolled = {name: name for name in ("user_id", "item_id", "position")}
    frame = stage_rows(
        sequence_rows(rows, file), file.model_copy(update={"columns": unrolled}), folder, tally
    )
    _check_one_line_per_user(frame, plan.name)
    return frame


def _check_one_line_per_user(frame: pl.LazyFrame, name: str) -> None:
    """Raise InputError if a user has two sequences: nobody could tell which came first."""
    users = frame.filter((pl.col("position") == 0) & pl.col("user_id").is_not_null()).select("user_id", "row")
    again = users.filter(pl.col("user_id").is_duplicated()).sort("user_id", "row").head(2).collect()
    if again.height:
        raise InputError(
            "one line with all items of each user",
            f"{name}: user {again['user_id'][0]!r} on lines {again['row'][0]} and {again['row'][1]}",
            "join the user's lists, oldest first",
        )


def _note(plan: Plan, tally: Tally) -> str:
    notes = [
        f"{number:,} unreadable values of {column} left empty"
        for column, number in sorted(tally.unread.items())
    ]
    if tally.repeats:
        notes.append(f"{tally.repeats:,} rows repeat an item: its first row is taken")
    ordered = plan.mapping.format == "sequences" or {"timestamp", "position"} & set(plan.mapping.columns)
    if plan.mapping.table == "events" and not ordered:
        notes.append("without times: the order of the rows is taken for the order of events")
    return "; ".join(notes)


def _together(frames: list[pl.LazyFrame]) -> pl.LazyFrame | None:
    return pl.concat(frames) if frames else None
