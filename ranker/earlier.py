"""The shop as it stood before validation, so that a retriever can be made that has not seen validation."""

import json
from pathlib import Path
from typing import Any

import polars as pl

from aisle.data.history import event_time
from aisle.data.ids import Ids
from aisle.data.prepared import Part, Prepared
from aisle.data.schema import KINDS
from aisle.data.settings import SplitSettings
from aisle.data.split import split_events
from aisle.durable import remove, write_whole

RENAMED: dict[str, Part] = {"train": "train", "validation": "train", "test": "validation"}
"""What the parts of train, split once more, are in the earlier shop."""


def earlier(prepared: Prepared, folder: Path) -> Prepared:
    """Write the shop one step back: its test is the old validation, and the old train is split again.

    Of six events of a user under leave-one-out:

        event          1      2      3      4           5           6
        the shop       train  train  train  train       validation  test
        one step back  train  train  train  validation  test        -

    A split by time moves its cuts back likewise. Nothing of the old test is in the new folder.

    Args:
        prepared: the shop.
        folder: what is in it is replaced.

    Raises:
        InputError: train cannot be split once more.
    """
    remove(folder)
    (folder / "split").mkdir(parents=True)
    counts: dict[str, Any] = dict(prepared.counts)
    settings = SplitSettings.model_validate(
        counts["split"] | {"target_kinds": prepared.target_kinds, "seen_kinds": prepared.seen_kinds}
    )
    again = settings.model_copy(update={"test_fraction": settings.validation_fraction})
    train = prepared.events("train").collect()
    users = Ids(train["user_id"].unique().sort())
    keyed = (
        train.lazy()
        .select(
            user=users.code("user_id"),
            kind=pl.col("kind")
            .cast(pl.String)
            .replace_strict(KINDS, range(len(KINDS)), return_dtype=pl.Int8),
            time=event_time(),
        )
        .with_row_index("row")
        .collect()
        .sort("user", "time", maintain_order=True)
    )
    split = split_events(keyed, counts["order"], again)
    part = pl.DataFrame({"row": keyed["row"], "part": split.parts.cast(pl.String)}).sort("row")["part"]
    renamed = part.replace_strict(RENAMED)
    for name in ("train", "validation"):
        train.filter(renamed == name).write_parquet(folder / "split" / f"{name}.parquet")
    prepared.events("validation").sink_parquet(folder / "split" / "test.parquet")
    prepared.items.write_parquet(folder / "items.parquet")
    cuts = split.cuts and {
        "validation": split.cuts.dates()["test"].isoformat(),
        "test": dict(counts["cuts"])["validation"],
    }
    left = {name: counts[name] for name in ("order", "target_kinds", "seen_kinds", "split")}
    write_whole(folder / "counts.json", json.dumps(left | {"cuts": cuts}, indent=2) + "\n")
    return Prepared(folder)
