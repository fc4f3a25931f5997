"""Raw shops of a few files, and what readers made of them, in a form to compare."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from aisle.data.readers import RawShop, read_shop
from aisle.data.readers.canonical import TRACE
from aisle.data.schema import EVENTS, ITEMS


def shop(
    folder: Path, files: Mapping[str, str | bytes | pl.DataFrame], mapping: str | None = None
) -> RawShop:
    """Read a shop of the given files."""
    source = folder / "shop"
    source.mkdir(exist_ok=True)
    for name, content in files.items():
        if isinstance(content, pl.DataFrame):
            content.write_parquet(source / name)
        else:
            (source / name).write_bytes(content.encode() if isinstance(content, str) else content)
    if mapping is not None:
        (source / "mapping.toml").write_text(mapping)
    return read_shop(source, mapping=None, work=folder / "work")


def lines(*records: object) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def rows(frame: pl.LazyFrame | None) -> list[dict[str, object]]:
    """Rows without their empty values, to be compared with what a test writes down."""
    assert frame is not None
    assert frame.collect_schema() in ({**ITEMS, **TRACE}, {**EVENTS, **TRACE})
    return [{k: v for k, v in row.items() if v is not None} for row in frame.collect().to_dicts()]


def column(frame: pl.LazyFrame | None, name: str) -> Sequence[object]:
    assert frame is not None
    return frame.collect()[name].to_list()


def at(*when: int) -> datetime:
    return datetime(*when, tzinfo=UTC)  # type: ignore[arg-type, misc]
