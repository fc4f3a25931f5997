"""Parts of a result on the disk: whole with their note, or not there.

candidates/part-00007.parquet   user_id, rank, item_id, score
users/part-00007.parquet        what is known of each user of the part
notes/00007.json                counts and checksums of both, written last
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import polars as pl

from aisle.checksum import file_sha256
from aisle.data.tables import TableWriter
from aisle.durable import sync, unfinished, write_whole
from aisle.retriever.candidates import RUN

USERS = pl.Schema(
    {
        "user_id": pl.String(),
        "events": pl.Int64(),
        "digest": pl.UInt64(),
        "found": pl.Int64(),
        "left": pl.Int64(),
        "carried": pl.Boolean(),
        "index": pl.String(),
    }
)
"""Of each user: events; a digest of them; items found; items in stock and unseen; whether it keeps what an
earlier job found; the index that was asked."""


@dataclass(frozen=True)
class PartNote:
    """What a whole part says of itself."""

    part: int
    users: int
    rows: int
    sha256: dict[str, str]


class PartFiles:
    """The files of one part below a folder."""

    def __init__(self, out: Path, part: int) -> None:
        self.part = part
        self.candidates = out / "candidates" / f"part-{part:05d}.parquet"
        self.users = out / "users" / f"part-{part:05d}.parquet"
        self.note = out / "notes" / f"{part:05d}.json"

    @contextmanager
    def writing(self, says: Mapping[str, str]) -> Iterator[tuple[TableWriter, TableWriter]]:
        """Writers of candidates and users; the files get their names when the body has run to its end."""
        paths = (self.candidates, self.users)
        for path in (*paths, self.note):
            path.parent.mkdir(parents=True, exist_ok=True)
        with (
            TableWriter(unfinished(self.candidates), RUN, says) as found,
            TableWriter(unfinished(self.users), USERS, says) as known,
        ):
            yield found, known
        for path in paths:
            sync(unfinished(path))
            unfinished(path).replace(path)
            sync(path.parent)
        self._counts = (known.rows, found.rows)

    def finish(self) -> PartNote:
        """Write the note: the part is whole."""
        sums = {path.parent.name: file_sha256(path) for path in (self.candidates, self.users)}
        note = PartNote(self.part, *self._counts, sha256=sums)
        write_whole(self.note, json.dumps(asdict(note)))
        return note

    def whole(self) -> PartNote | None:
        """The note of a whole part; None where it is not there, or a file is not as it was written."""
        try:
            note = PartNote(**json.loads(self.note.read_bytes()))
            sums = {path.parent.name: file_sha256(path) for path in (self.candidates, self.users)}
        except (OSError, ValueError, TypeError):
            return None
        return note if sums == note.sha256 else None


def digests(events: pl.DataFrame) -> pl.DataFrame:
    """`user_id`, number of `events`, and a `digest` of what they say, whatever their order; sorted by user.

    The digest is a sum of hashes of rows, modulo 2**64. It may change with the version of polars; then all
    users count as changed.
    """
    told = events.drop("user_id").with_columns(pl.col("kind").cast(pl.String))
    hashes = told.hash_rows(seed=0) if len(events) else pl.Series([], dtype=pl.UInt64)
    table = pl.DataFrame({"user_id": events["user_id"], "hash": hashes}).sort("user_id")
    users = table.group_by("user_id", maintain_order=True).agg(events=pl.len().cast(pl.Int64))
    starts = np.concatenate([[0], np.cumsum(users["events"].to_numpy())])[:-1].astype(np.int64)
    values = table["hash"].to_numpy()
    sums = np.add.reduceat(values, starts) if len(starts) else values
    return users.with_columns(digest=pl.Series(sums, dtype=pl.UInt64))
