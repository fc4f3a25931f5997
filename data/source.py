"""Events out of Parquet, a batch at a time: of a file, a folder, or what fsspec reaches by a URL."""

import hashlib
import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow
import pyarrow.parquet

from aisle.data.clean.events import NO_DATE
from aisle.data.clean.repair import repair_events
from aisle.data.clean.rows import event_reason
from aisle.data.detect import Look, as_built_in, as_given, built_in, meets
from aisle.data.errors import InputError
from aisle.data.mapping import FileMapping, load_mapping
from aisle.data.progress import meter
from aisle.data.readers.canonical import canonical
from aisle.data.readers.parquet import frame_of, staged, used_columns, whole
from aisle.data.schema import EVENTS
from aisle.data.settings import DataSettings

log = logging.getLogger(__name__)

BATCH_ROWS = 1 << 16
BATCH_BYTES = 64 << 20
"""A batch has so many rows, or fewer where rows are large."""

SPARE = 8
"""Times the characters that are read of a text, which are kept of it until it has been repaired."""


@dataclass(frozen=True)
class File:
    """One file as it was found.

    Attributes:
        path: on its file system.
        name: below the source.
        size: bytes.
        token: changes when the file does: time of the last change, inode or ETag, whatever there is.
    """

    path: str
    name: str
    size: int
    token: str


@dataclass(frozen=True)
class Batch:
    """Some events.

    Attributes:
        events: canonical.
        rejected: rows that are left out, by reason.
    """

    events: pl.DataFrame
    rejected: Counter[str]


class EventSource:
    """The Parquet files at a place as they were when they were looked at; files that come later do not count.

    Args:
        place: a file, a folder, or a URL such as `s3://bucket/events`. Of a run, or of a folder that
            `aisle prepare` wrote, all kept events.

    Raises:
        InputError: there is no Parquet file.
    """

    def __init__(self, place: str) -> None:
        import fsspec

        self.place = place
        try:
            self.system, root = fsspec.core.url_to_fs(_prepared(place))
            self.files = list(self._found(str(root)))
        except (OSError, ValueError, ImportError) as error:
            raise InputError(
                "Parquet files with events: a file, a folder or a URL", f"{place}: {error}", "check --users"
            ) from None
        if not self.files:
            raise InputError("Parquet files with events", f"none in {place}", "check --users")

    def _found(self, root: str) -> Iterator[File]:
        paths = [root] if self.system.isfile(root) else sorted(self.system.find(root))
        for path in paths:
            name = path[len(root) :].lstrip("/") or path.rpartition("/")[2]
            hidden = any(part.startswith((".", "_")) for part in name.split("/"))
            if path == root or (name.endswith(".parquet") and not hidden):
                yield self._look(path, name)

    def _look(self, path: str, name: str) -> File:
        info: dict[str, Any] = self.system.info(path)
        return File(path, name, int(info["size"]), str(self.system.ukey(path)))

    @property
    def digest(self) -> str:
        """SHA-256 over names, sizes and tokens of the files: another one when a file has changed."""
        said = "\n".join(f"{file.name}\0{file.size}\0{file.token}" for file in self.files)
        return hashlib.sha256(said.encode()).hexdigest()

    @property
    def rows(self) -> int:
        """Rows of all files, as they say themselves.

        Raises:
            InputError: a file is damaged.
        """
        total = 0
        for file in self.files:
            with self._opened(file) as table:
                total += table.metadata.num_rows
        return total

    def batches(self, settings: DataSettings, *, timed: bool, chars: int) -> Iterator[Batch]:
        """All events, file after file, cleaned as `prepare` cleans single rows.

        Args:
            settings: mapping of columns, and cleaning.
            timed: whether events without a time are left out.
            chars: what is read of a text.

        Raises:
            InputError: a file is damaged, has changed since it was looked at, or has no events.
        """
        mappings = [self._mapping(file, settings.mapping) for file in self.files]
        read = [(file, mapping) for file, mapping in zip(self.files, mappings, strict=True) if mapping]
        if not read:
            names = ", ".join(file.name for file in self.files[:3])
            raise InputError(
                "a Parquet file with events: user_id, item_id, and when or in which order",
                f"none in {self.place} ({names}, ...)",
                "rename the columns, or describe them in a mapping (docs/data.md)",
            )
        if without := [file.name for file, mapping in zip(self.files, mappings, strict=True) if not mapping]:
            log.warning(
                "%d of %d files in %s hold no events and are passed over: %s",
                len(without),
                len(self.files),
                self.place,
                ", ".join(without[:3]) + (", ..." if len(without) > 3 else ""),
            )
        latest = settings.clean.latest or datetime.now(UTC) + timedelta(days=1)
        reason = event_reason(settings.clean.earliest, latest)
        if timed:
            reason = pl.coalesce(reason, pl.when(pl.col("timestamp").is_null()).then(pl.lit(NO_DATE)))
        for file, mapping in read:
            for rows in self._rows(file, mapping):
                short = rows.with_columns(pl.col("text").str.slice(0, SPARE * chars), reason=reason)
                fine = short.filter(pl.col("reason").is_null()).select(EVENTS.names())
                events, _ = repair_events(fine, settings.clean)
                rejected = Counter(short["reason"].drop_nulls().to_list())
                yield Batch(events.with_columns(pl.col("text").str.slice(0, chars)), rejected)
            self._check_unchanged(file)

    def _rows(self, file: File, mapping: FileMapping) -> Iterator[pl.DataFrame]:
        row = 1
        with self._opened(file) as table, meter(f"reading {file.name}", table.metadata.num_rows) as counter:
            names = used_columns(table.schema_arrow.names, mapping)
            for batch in table.iter_batches(_batch_rows(table.metadata), columns=names):
                batch.validate(full=True)
                frame = frame_of(batch).with_row_index("row", offset=row).cast({"row": pl.Int64})
                yield canonical(staged(frame.lazy(), mapping), mapping, file.name).collect()
                row += frame.height
                counter.advance(frame.height)

    def _opened(self, file: File) -> Any:
        try:
            return whole(self.system.open(file.path, "rb"), file.name)
        except OSError as error:
            raise InputError("a file that can be read", f"{file.name}: {error}", "check --users") from None

    def _mapping(self, file: File, given: Path | None) -> FileMapping | None:
        """How the columns of a file are read; None where it holds no events."""
        with self._opened(file) as table:
            look = Look("parquet", tuple(table.schema_arrow.names))
        blocks = load_mapping(given).file if given else ()
        for block in blocks:
            if block.table == "events" and fnmatch(file.name, block.match) and meets(block, look):
                return as_given(block, Path(file.name), look)
        found = [block for _, block in built_in(file.name, look) if block.table == "events"]
        return as_built_in(found[0], look) if found else None

    def _check_unchanged(self, file: File) -> None:
        try:
            same = self._look(file.path, file.name) == file
        except FileNotFoundError:
            same = False
        if not same:
            raise InputError(
                "files that stay as they are while they are read",
                f"{file.name} in {self.place} has changed",
                "write new events to new files; start the job again",
            )


def _prepared(place: str) -> str:
    """The kept events, where the place is a prepared shop or a run."""
    folder = Path(place)
    for shop in (folder, folder / "prepare"):
        if (shop / "counts.json").is_file() and (shop / "events.parquet").is_file():
            return str(shop / "events.parquet")
    return place


def _batch_rows(metadata: pyarrow.parquet.FileMetaData) -> int:
    """Rows of a batch: fewer where the largest row group has large rows."""
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    widest = max((group.total_byte_size / max(1, group.num_rows) for group in groups), default=1.0)
    return max(1, min(BATCH_ROWS, int(BATCH_BYTES / max(1.0, widest))))
