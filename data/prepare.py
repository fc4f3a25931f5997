"""Readers, cleaning and splits as one job.

Two passes over the rows, so that memory grows with the number of events and not with what they say: the first
keeps a few integers of each row and decides, the second streams the wide rows to where they belong.
"""

import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from aisle.data.clean.events import Kept, Keys, decide
from aisle.data.clean.items import decide_items, item_keys, without_record
from aisle.data.clean.repair import repair_events, repair_items
from aisle.data.counts import Counts, TableCounts, by_reason, count_parts
from aisle.data.errors import InputError
from aisle.data.exclusive import make_writable
from aisle.data.leaks import check_split
from aisle.data.mapping import Table
from aisle.data.progress import meter
from aisle.data.readers import RawShop, read_shop
from aisle.data.readers.canonical import TRACE
from aisle.data.schema import EVENTS, ITEMS
from aisle.data.settings import CleanSettings, DataSettings
from aisle.data.split import PARTS, Split, split_events
from aisle.data.tables import TableWriter

BATCH = 1 << 16
"""Rows of a table that are in memory at once."""

REJECTS = pl.Schema(
    {
        "table": pl.String(),
        "source": pl.String(),
        "row": pl.Int64(),
        "reason": pl.String(),
        "record": pl.String(),
    }
)
"""A dropped row: items or events, file, line or row there, why, and what it said (canonical, as JSON)."""


def prepare(source: Path, out: Path, settings: DataSettings, *, work: Path | None = None) -> Counts:
    """Reads the shop in `source`, cleans and splits it, and writes the folder that `Prepared` reads.

    Args:
        source: folder with the shop's files.
        out: folder to write; `counts.json` comes last.
        settings: mapping of columns, cleaning and split.
        work: folder for what readers have to unpack; none: a temporary one inside `out`.

    Raises:
        InputError: the input cannot be read, nothing in it can be tested, or `out` cannot be written.
    """
    _open(out)
    with ExitStack() as stack:
        if work is None:
            work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=".work-", dir=out)))
        return prepare_shop(read_shop(source, mapping=settings.mapping, work=work), out, settings)


def prepare_shop(shop: RawShop, out: Path, settings: DataSettings) -> Counts:
    """The same for a shop that has been read."""
    _open(out)
    keys, clean = Keys(), settings.clean
    latest = clean.latest or datetime.now(UTC) + timedelta(days=1)
    event_rows = pl.concat(
        keys.of_events(batch, clean, latest) for batch in batches(shop, "events", "reading events")
    )
    kept = decide(event_rows, clean)
    del event_rows
    _require_some(kept)
    split = split_events(kept.events, kept.order, settings.split)

    item_rows = pl.concat(item_keys(batch, keys) for batch in batches(shop, "items", "reading items"))
    item_reasons = decide_items(item_rows, kept.events, clean.min_item_events)
    missing = without_record(item_rows, item_reasons, kept.events, keys)

    (out / "split").mkdir(exist_ok=True)
    with TableWriter(out / "rejects.parquet", REJECTS) as rejects:
        items = _write_items(shop, out, item_reasons, missing, rejects, clean)
        events = _write_events(shop, out, kept, split, rejects, clean)
    _check_counts({"items": items, "events": events}, out)
    _check_leaks(out, split)
    labelled = kept.events.with_columns(target=split.targets, part=split.parts)
    per_user = labelled.group_by("user").agg(pl.col("target").sum())
    counts = Counts(
        files=shop.files,
        items=items,
        events=events,
        users=len(per_user),
        catalogue=items.kept + len(missing),
        items_without_record=len(missing),
        users_below_3_targets=per_user.filter(pl.col("target") < 3).height,
        order=kept.order,
        target_kinds=split.target_kinds,
        seen_kinds=split.seen_kinds,
        split=settings.split.model_copy(update={"strategy": split.strategy}),
        cuts=split.cuts.dates() if split.cuts else None,
        parts=count_parts(labelled),
    )
    (out / "counts.json").write_text(counts.model_dump_json(indent=2) + "\n")
    return counts


def batches(shop: RawShop, table: Table, what: str) -> Iterator[pl.DataFrame]:
    """The rows of one table, `BATCH` at a time and in order; one empty frame where there are none."""
    rows = shop.events if table == "events" else shop.items
    schema = pl.Schema({**(EVENTS if table == "events" else ITEMS), **TRACE})
    yield pl.DataFrame(schema=schema)
    if rows is not None:
        total = sum(file.rows for file in shop.files if file.table == table)
        with meter(what, total or None) as progress:
            for batch in rows.collect_batches(chunk_size=BATCH, maintain_order=True, engine="streaming"):
                yield batch
                progress.advance(len(batch))


def _write_items(
    shop: RawShop,
    out: Path,
    reasons: pl.Series,
    missing: pl.DataFrame,
    rejects: TableWriter,
    settings: CleanSettings,
) -> TableCounts:
    """Kept catalogue rows to `items.parquet`, then `missing`; the others to `rejects`."""
    repaired: Counter[str] = Counter()
    kept = 0
    with TableWriter(out / "items.parquet", ITEMS) as catalogue:
        for batch, why in _with_reasons(batches(shop, "items", "cleaning items"), reasons):
            rejects.append(_rejects("items", batch, why))
            items, changes = repair_items(batch.filter(why.is_null()).select(ITEMS.names()), settings)
            catalogue.append(items)
            repaired += changes
            kept += len(items)
        catalogue.append(missing)
    return TableCounts(
        rows_in=len(reasons), kept=kept, rejected=by_reason(reasons), repaired=dict(sorted(repaired.items()))
    )


def _write_events(
    shop: RawShop, out: Path, kept: Kept, split: Split, rejects: TableWriter, settings: CleanSettings
) -> TableCounts:
    """Kept events to `events.parquet` and to their part; the others to `rejects`."""
    n_rows = len(kept.reasons)
    rows = kept.events["row"].to_numpy()
    part = np.zeros(n_rows, np.uint8)
    part[rows] = split.parts.to_physical().to_numpy()
    place = np.zeros(n_rows if kept.order == "position" else 0, np.int64)
    if kept.order == "position":
        place[rows] = kept.events["time"].to_numpy()
    repaired: Counter[str] = Counter()
    n_kept = start = 0
    with ExitStack() as stack:
        everything = stack.enter_context(TableWriter(out / "events.parquet", EVENTS))
        parts = [stack.enter_context(TableWriter(_part(out, name), EVENTS)) for name in PARTS]
        for batch, why in _with_reasons(batches(shop, "events", "cleaning events"), kept.reasons):
            rejects.append(_rejects("events", batch, why))
            here = slice(start, start + len(batch))
            start += len(batch)
            if kept.order == "time":
                batch = batch.with_columns(position=pl.lit(None, pl.Int64))
            else:
                batch = batch.with_columns(
                    timestamp=pl.lit(None, EVENTS["timestamp"]), position=pl.Series(place[here])
                )
            fine = why.is_null()
            events, changes = repair_events(batch.filter(fine).select(EVENTS.names()), settings)
            everything.append(events)
            labels = pl.Series(part[here]).filter(fine)
            for code, writer in enumerate(parts):
                writer.append(events.filter(labels == code))
            repaired += changes
            n_kept += len(events)
    return TableCounts(
        rows_in=n_rows, kept=n_kept, rejected=by_reason(kept.reasons), repaired=dict(sorted(repaired.items()))
    )


def _part(out: Path, name: str) -> Path:
    return out / "split" / f"{name}.parquet"


def _with_reasons(
    frames: Iterator[pl.DataFrame], reasons: pl.Series
) -> Iterator[tuple[pl.DataFrame, pl.Series]]:
    """Each frame with its slice of `reasons`."""
    start = 0
    for frame in frames:
        yield frame, reasons[start : start + len(frame)]
        start += len(frame)
    if start != len(reasons):
        raise RuntimeError(
            f"the second pass met {start} rows, the first {len(reasons)}: did the input change?"
        )


def _rejects(table: Table, batch: pl.DataFrame, why: pl.Series) -> pl.DataFrame:
    """The rows of `batch` that have a reason, as rows of `REJECTS`."""
    rows = batch.with_columns(reason=why.cast(pl.String)).filter(pl.col("reason").is_not_null())
    canonical = EVENTS if table == "events" else ITEMS
    return rows.select(
        pl.lit(table).alias("table"),
        "source",
        "row",
        "reason",
        pl.struct(canonical.names()).struct.json_encode().alias("record"),
    )


def _open(out: Path) -> None:
    """Makes the folder, and takes the mark of a whole one away.

    Raises:
        InputError: it cannot be written.
    """
    try:
        make_writable(out)
        (out / "counts.json").unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            "a folder that can be written", f"{out}: {error.strerror or error}", "choose another --out"
        ) from None


def _require_some(kept: Kept) -> None:
    """Raises InputError where no event is left."""
    n = len(kept.reasons)
    if not n:
        raise InputError(
            "events: who viewed, bought or reviewed what",
            "no events at all",
            "add a file with events, or a mapping that names its columns",
        )
    if not len(kept.events):
        top = list(by_reason(kept.reasons).items())[:3]
        raise InputError(
            "events that can be used",
            f"all {n:,} rejected: " + ", ".join(f"{count:,} for {reason!r}" for reason, count in top),
            "check the columns (a mapping can name them) and the settings under data.clean",
        )


def _check_counts(tables: dict[Table, TableCounts], out: Path) -> None:
    """Raises RuntimeError unless each row of the input is in one place: kept, or among the rejects."""
    written = dict(pl.scan_parquet(out / "rejects.parquet").group_by("table").len().collect().iter_rows())
    for table, counts in tables.items():
        rejected = sum(counts.rejected.values())
        if counts.rows_in != counts.kept + rejected or rejected != written.get(table, 0):
            raise RuntimeError(
                f"{table}: {counts.rows_in} rows in, but {counts.kept} kept and {rejected} rejected "
                f"({written.get(table, 0)} of them written)"
            )


def _check_leaks(out: Path, split: Split) -> None:
    """Raises RuntimeError if a part of the split that was written sees its future."""
    leaks = check_split({name: pl.scan_parquet(_part(out, name)) for name in PARTS}, split.strategy)
    if len(leaks):
        raise RuntimeError(f"the split leaks in {len(leaks)} places, first: {leaks.row(0, named=True)}")
