"""What a batch job found: counts, coverage, and who got fewer items than wanted, and why."""

from collections import Counter
from pathlib import Path

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from aisle.batch.parts import PartFiles
from aisle.data.buckets import Spilled
from aisle.durable import write_whole

NAME = "summary.json"

FEW_IN_STOCK = "fewer items in stock than wanted"
SEEN_MOST = "has seen most items in stock"
NOT_FOUND = "the approximate index found no more"


class Summary(BaseModel):
    """`summary.json`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    users: int
    rows: int = Field(description="candidates")
    parts: int
    k: int = Field(description="items wanted for each user")
    events: int = Field(description="events that were used")
    rejected: dict[str, int] = Field(description="rows of the source that were not, by reason")
    carried: dict[str, int] = Field(
        description="users who keep what an earlier job found, by the index asked then"
    )
    short: dict[str, int] = Field(description="users who got fewer than k items, by reason")
    nothing: int = Field(description="users who got no item")
    items: int = Field(description="different items that somebody got")
    in_stock: int = Field(description="items that could be had")

    @property
    def coverage(self) -> float:
        """Share of the items in stock that somebody got."""
        return self.items / self.in_stock

    def write(self, folder: Path) -> None:
        """Write it, whole or not at all."""
        write_whole(folder / NAME, self.model_dump_json(indent=1) + "\n")

    @classmethod
    def read(cls, folder: Path) -> "Summary":
        """What :meth:`write` wrote."""
        return cls.model_validate_json((folder / NAME).read_bytes())

    def lines(self) -> list[str]:
        """The same for people."""
        carried = sum(self.carried.values())
        said = [
            f"{self.users:,} users, {self.rows:,} candidates in {self.parts:,} parts",
            f"{self.events:,} events were used, {sum(self.rejected.values()):,} rows were not",
            *(f"  {number:>11,} {reason}" for reason, number in sorted(self.rejected.items())),
            f"{self.items:,} of {self.in_stock:,} items in stock were found ({self.coverage:.1%})",
        ]
        if carried:
            said.append(f"{carried:,} users without new events keep what they had")
        if self.short:
            said.append(f"{sum(self.short.values()):,} users got fewer than {self.k:,} items")
            said += [f"  {number:>11,} {reason}" for reason, number in sorted(self.short.items())]
        return said


def summarise(folder: Path, spilled: Spilled, k: int, in_stock: int) -> Summary:
    """Look through the parts in `folder`, one after the other.

    Args:
        folder: of the parts.
        spilled: what was read.
        k: items wanted for each user.
        in_stock: items that could be had.
    """
    short: Counter[str] = Counter()
    carried: Counter[str] = Counter()
    items = pl.Series([], dtype=pl.String)
    users = rows = nothing = 0
    for part in range(spilled.buckets):
        files = PartFiles(folder, part)
        known = pl.read_parquet(files.users)
        found = pl.scan_parquet(files.candidates).select(pl.col("item_id").unique()).collect()["item_id"]
        items = pl.concat([items, found]).unique()
        users += len(known)
        rows += int(known["found"].sum())
        nothing += int((known["found"] == 0).sum())
        why = (
            pl.when(pl.col("found") < pl.col("left"))
            .then(pl.lit(NOT_FOUND))
            .otherwise(pl.lit(FEW_IN_STOCK if in_stock < k else SEEN_MOST))
        )
        short.update(known.filter(pl.col("found") < k).select(why).to_series().to_list())
        carried.update(known.filter("carried")["index"].to_list())
    return Summary(
        users=users,
        rows=rows,
        parts=spilled.buckets,
        k=k,
        events=spilled.events,
        rejected=spilled.rejected,
        carried=dict(carried),
        short=dict(short),
        nothing=nothing,
        items=len(items),
        in_stock=in_stock,
    )
