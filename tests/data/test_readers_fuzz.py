"""Bytes of valid files changed at random: all rows come out, or an InputError; never anything else."""

import gzip
import json
import tempfile
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aisle.data.errors import InputError
from aisle.data.readers import RawShop, read_shop

REVIEWS = [
    {
        "user_id": f"u{n}",
        "parent_asin": f"i{n % 3}",
        "rating": 4.5,
        "title": "Nice",
        "text": "é",
        "timestamp": n,
    }
    for n in range(8)
]
ITEMS = [
    {"asin": f"i{n}", "title": "A 'pen'", "price": "$2.50", "imUrl": "x", "categories": [["a", "b"]]}
    for n in range(8)
]  # fmt: skip
SEQUENCES = [{"user": n, "items": [1, 2, 3]} for n in range(5)]
BULK = [record for n in range(4) for record in ({"index": {"_id": str(n)}}, {"title": "t", "price": 1.0})]


def json_lines(records: list[dict[str, object]]) -> bytes:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()


def parquet(records: list[dict[str, object]]) -> bytes:
    with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
        pl.DataFrame(records).write_parquet(file.name)
        return Path(file.name).read_bytes()


FILES = {
    "reviews.jsonl": json_lines(REVIEWS),
    "reviews.jsonl.gz": gzip.compress(json_lines(REVIEWS), mtime=0),
    "meta.json": "".join(f"{record!r}\n" for record in ITEMS).encode(),
    "reviews.parquet": parquet(REVIEWS),
    "meta.parquet": parquet(ITEMS),
    "sequences.jsonl": json_lines(SEQUENCES),
    "bulk.ndjson": json_lines(BULK),
    "items.csv": b"id,title,price\r\n" + b'1,"a, b",$2\r\n2,"c ""d""",3\r\n' * 4,
    "shop.inter": b"user_id:token\titem_id:token\trating:float\n" + b"u\ti\t3.5\n" * 5,
}

Edit = tuple[float, int, bytes]
"""Where (0 to 1), how many bytes are taken out, and what is put in."""

edits = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 4), st.binary(max_size=3)), max_size=4
)


def changed(content: bytes, changes: list[Edit]) -> bytes:
    for place, taken, put in changes:
        start = int(place * len(content))
        content = content[:start] + put + content[start + taken :]
    return content


def read(name: str, content: bytes, folder: Path) -> tuple[RawShop, int]:
    """The shop, and the number of its rows after everything has been used."""
    (folder / "shop").mkdir()
    (folder / "shop" / name).write_bytes(content)
    shop = read_shop(folder / "shop", mapping=None, work=folder / "work")
    frames = [frame.collect() for frame in (shop.items, shop.events) if frame is not None]
    return shop, sum(frame.height for frame in frames)


def rows_in(name: str, content: bytes) -> int | None:
    """Rows that a mutated file has, where lines can be counted without a reader."""
    if name.endswith((".parquet", ".gz", ".csv")) or name.startswith(("sequences", "bulk")):
        return None
    filled = sum(bool(line.strip()) for line in content.split(b"\n"))
    return filled - 1 if name.endswith(".inter") else filled


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=40, deadline=None, database=None)
@given(changes=edits)
def test_changed_bytes(name: str, changes: list[Edit]) -> None:
    content = changed(FILES[name], changes)
    with tempfile.TemporaryDirectory() as folder:
        try:
            shop, rows = read(name, content, Path(folder))
        except InputError:
            assert changes, "an unchanged file is read"
            return
    assert sum(report.rows for report in shop.files) == rows
    expected = rows_in(name, content)
    if expected is not None:
        assert rows == expected


@pytest.mark.parametrize("name", FILES)
def test_unchanged_bytes(tmp_path: Path, name: str) -> None:
    rows = {"sequences.jsonl": 5 * 3, "bulk.ndjson": 4, "items.csv": 2 * 4, "shop.inter": 5}
    assert read(name, FILES[name], tmp_path)[1] == rows.get(name, 8)
