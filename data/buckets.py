"""Events brought together by user on the disk, in bounded memory: all that a user did is in one bucket.

    <folder>/00007.arrows   Arrow streams, one behind the other, in the order in which the events came
    <folder>/buckets.json   written last: how many there are, and what was counted

Partitions of a hash join are made like this (Kitsuregawa et al. 1983, "Application of hash to data base
machine and its architecture"). Which bucket a user is in depends on its id and the number of buckets alone.
"""

import json
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.ipc

from aisle.data.errors import InputError
from aisle.data.schema import EVENTS
from aisle.data.source import Batch
from aisle.durable import remove, sync, write_whole

NOTE = "buckets.json"

HELD = 128 << 20
"""Bytes of events that wait in memory before they are written."""


@dataclass(frozen=True)
class Spilled:
    """What is in a folder of buckets.

    Attributes:
        buckets: how many there are.
        events: rows that are in them.
        rejected: rows that are not, by reason.
        moment: of the last event, microseconds since 1970; None without times.
        sizes: of the files, bytes.
    """

    buckets: int
    events: int
    rejected: dict[str, int]
    moment: int | None
    sizes: list[int]

    @classmethod
    def read(cls, folder: Path) -> "Spilled | None":
        """What was written to a folder; None where that is not there, or not whole."""
        try:
            found = cls(**json.loads((folder / NOTE).read_bytes()))
            sizes = [path_of(folder, bucket).stat().st_size for bucket in range(found.buckets)]
        except (OSError, ValueError, TypeError):
            return None
        return found if sizes == found.sizes else None


def spill(batches: Iterable[Batch], folder: Path, buckets: int, held: int = HELD) -> Spilled:
    """Write events to their buckets; what an earlier call left there is removed.

    Args:
        batches: of events.
        folder: made if need be.
        buckets: how many.
        held: bytes of events that wait in memory, about.
    """
    remove(folder)
    folder.mkdir(parents=True)
    for bucket in range(buckets):
        path_of(folder, bucket).touch()
    rejected: Counter[str] = Counter()
    waiting: list[pl.DataFrame] = []
    events = size = 0
    moment: int | None = None
    for batch in batches:
        rejected += batch.rejected
        if not len(batch.events):
            continue
        events += len(batch.events)
        waiting.append(batch.events)
        size += int(batch.events.estimated_size())
        last = batch.events["timestamp"].dt.timestamp("us").max()
        moment = max((int(at) for at in (moment, last) if isinstance(at, int)), default=None)
        if size >= held:
            _append(pl.concat(waiting), folder, buckets)
            waiting, size = [], 0
    if waiting:
        _append(pl.concat(waiting), folder, buckets)
    paths = [path_of(folder, bucket) for bucket in range(buckets)]
    for path in paths:
        sync(path)
    sizes = [path.stat().st_size for path in paths]
    found = Spilled(buckets, events, dict(rejected), moment, sizes)
    write_whole(folder / NOTE, json.dumps(asdict(found)))
    return found


def read_bucket(folder: Path, bucket: int) -> pl.DataFrame:
    """The events of one bucket, canonical, in the order in which they came.

    Raises:
        InputError: the file is damaged.
    """
    path = path_of(folder, bucket)
    frames = [pl.DataFrame(schema=EVENTS)]
    try:
        with pa.OSFile(str(path)) as file:
            while file.tell() < file.size():
                table = pa.ipc.open_stream(file).read_all()
                frames.append(pl.DataFrame(pl.from_arrow(table)).cast(EVENTS))
    except (pa.ArrowException, OSError, pl.exceptions.PolarsError) as error:
        raise InputError("events as they were written", f"{path}: {error}", "start the job again") from None
    return pl.concat(frames)


def bucket_of(users: pl.Series, buckets: int) -> pl.Series:
    """The bucket of each user, Int64: CRC-32 of the id, modulo the number of buckets.

    >>> bucket_of(pl.Series(["a", "b"]), 7).to_list() == [zlib.crc32(b"a") % 7, zlib.crc32(b"b") % 7]
    True
    """
    distinct = users.unique()
    codes = [zlib.crc32(one.encode("utf-8", "surrogatepass")) % buckets for one in distinct]
    known = pl.DataFrame({"user": distinct, "bucket": codes}, schema={"user": pl.String, "bucket": pl.Int64})
    return users.to_frame("user").join(known, on="user", how="left", maintain_order="left")["bucket"]


def path_of(folder: Path, bucket: int) -> Path:
    """File of a bucket."""
    return folder / f"{bucket:05d}.arrows"


def _append(events: pl.DataFrame, folder: Path, buckets: int) -> None:
    at = bucket_of(events["user_id"], buckets)
    plain = events.with_columns(pl.col("kind").cast(pl.String))
    for (bucket,), rows in plain.group_by(at, maintain_order=True):
        table = rows.to_arrow(compat_level=pl.CompatLevel.oldest())
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        with (
            path_of(folder, int(bucket)).open("ab") as sink,
            pa.ipc.new_stream(sink, table.schema, options=options) as writer,
        ):
            writer.write_table(table)
