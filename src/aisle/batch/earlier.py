"""Users of an earlier result who have done nothing since: they keep what they had."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from pyarrow import parquet

from aisle.batch.parts import USERS, PartFiles
from aisle.retriever.candidates import RUN

ROWS_AT_ONCE = 1 << 16


@dataclass(frozen=True)
class Earlier:
    """What is carried over into a part from the same part of an earlier result.

    Attributes:
        files: of the earlier part.
        known: of the users who are carried over, as `USERS`.
    """

    files: PartFiles
    known: pl.DataFrame

    @property
    def users(self) -> pl.Series:
        """Ids of the users."""
        return self.known["user_id"]

    @classmethod
    def of(cls, folder: Path, part: int, users: pl.DataFrame, items: pl.Series, k: int) -> "Earlier | None":
        """Those of `users` whose events are the same and whose items can all still be had; None for a part
        that is not there or damaged.

        Users who had fewer than `k` items are not carried over: there may be more by now.

        Args:
            folder: of the earlier result.
            part: its number.
            users: as `aisle.batch.parts.digests` gives them.
            items: that may be found.
            k: items for each user.
        """
        files = PartFiles(folder, part)
        if files.whole() is None:
            return None
        before = pl.read_parquet(files.users)
        same = before.join(users, on=["user_id", "events", "digest"], how="semi", maintain_order="left")
        same = same.filter(pl.col("found") >= k)
        gone = (
            pl.scan_parquet(files.candidates)
            .filter(~pl.col("item_id").is_in(items.implode()))
            .select(pl.col("user_id").unique())
            .collect(engine="streaming")["user_id"]
        )
        kept = same.filter(~pl.col("user_id").is_in(gone.implode()))
        return cls(files, kept.with_columns(carried=pl.lit(True)).match_to_schema(USERS))

    def rows(self) -> Iterator[pl.DataFrame]:
        """Their candidates, some at a time, in the order in which they were."""
        with parquet.ParquetFile(self.files.candidates) as file:
            for batch in file.iter_batches(ROWS_AT_ONCE):
                frame = pl.DataFrame(pl.from_arrow(batch)).match_to_schema(RUN)
                yield frame.filter(pl.col("user_id").is_in(self.users.implode()))
