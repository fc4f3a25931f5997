"""Tables with a mapping, in every format and in chunks: what comes out, written by hand."""

import re
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rawshops import at, column, lines, rows, shop

from aisle.data.catalogue import read_catalogue
from aisle.data.readers import staging as staging_module
from aisle.data.settings import DataSettings

LOG = """
[[file]]
match = "log.*"
table = "events"
timestamp_unit = "s"
[file.columns]
user_id = "visitor"
item_id = "sku"
timestamp = "at"
kind = "action"
text = "query"
price = "paid"
quantity = "n"
[file.kinds]
addtocart = "cart"
seek = "search"
"""


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
def test_a_log_with_a_mapping_in_every_format(tmp_path: Path, suffix: str) -> None:
    records = [
        {"visitor": "v", "sku": "s", "at": "10", "action": "AddToCart", "query": "", "paid": "1.5", "n": "2"},
        {"visitor": "v", "sku": "", "at": "20", "action": "seek", "query": "red pen", "paid": "", "n": ""},
        {"visitor": "v", "sku": "s", "at": "30", "action": "stare", "query": "", "paid": "", "n": ""},
        {"visitor": "v", "sku": "", "at": "40", "action": "view", "query": "", "paid": "?", "n": ""},
    ]
    separator = {"csv": ",", "tsv": "\t"}.get(suffix)
    content: str | pl.DataFrame = pl.DataFrame(records) if suffix == "parquet" else lines(*records)
    if separator:
        content = "\n".join(
            separator.join(line) for line in [list(records[0]), *(r.values() for r in records)]
        )
    read = shop(tmp_path, {f"log.{suffix}": content}, LOG)
    assert column(read.events, "kind") == ["cart", "search", None, "view"]
    assert column(read.events, "problem") == [None, None, "unknown kind", "no item id"]
    assert column(read.events, "item_id") == ["s", None, "s", None]
    assert column(read.events, "timestamp") == [at(1970, 1, 1, 0, 0, second) for second in (10, 20, 30, 40)]
    assert column(read.events, "text") == [None, "red pen", None, None]
    assert column(read.events, "price") == [1.5, None, None, None]
    assert column(read.events, "quantity") == [2.0, None, None, None]
    assert column(read.events, "row") == ([2, 3, 4, 5] if separator else [1, 2, 3, 4])
    assert read.files[0].note == "1 unreadable values of price left empty"


def test_a_headerless_file_in_another_encoding(tmp_path: Path) -> None:
    mapping = """
    [[file]]
    match = "goods.txt"
    table = "items"
    format = "csv"
    separator = "^"
    quote = ""
    header = false
    names = ["id", "what", "where"]
    encoding = "utf-16"
    category_separator = "|"
    [file.columns]
    item_id = "id"
    title = "what"
    categories = "where"
    attributes = "where"
    """
    text = '1^a 12" pen^b|a| b\n2^鼠标^\n'
    read = shop(tmp_path, {"goods.txt": text.encode("utf-16")}, mapping)
    assert column(read.items, "title") == ['a 12" pen', "鼠标"]
    assert column(read.items, "categories") == [["b", "a"], None]
    assert column(read.items, "attributes") == [[{"name": "where", "value": "b|a| b"}], None]


def test_parquet_types(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "user_id": pl.Series([1.0, 2.5, None]),
            "item_id": pl.Series([1, 2, 3], dtype=pl.UInt16),
            "rating": pl.Series(["1.50", "2.00", "3.00"]).cast(pl.Decimal(5, 2)),
            "timestamp": pl.Series(["2020-01-01T12:00"] * 3).str.to_datetime(time_zone="Europe/Berlin"),
        }
    )
    read = shop(tmp_path, {"e.parquet": frame})
    assert column(read.events, "user_id") == ["1", None, None]
    assert column(read.events, "item_id") == ["1", "2", "3"]
    assert column(read.events, "problem") == [None, "no user id", "no user id"]
    assert column(read.events, "rating") == [1.5, 2.0, 3.0]
    assert column(read.events, "timestamp") == [at(2020, 1, 1, 11)] * 3


ODD = {
    "uuid": (pa.array([UUID(int=5).bytes, None], pa.uuid()), [str(UUID(int=5)), None]),
    "bytes": (pa.array([b"red", b"\xff"]), ["red", None]),
    "bytes of one length": (pa.array([b"red", b"tan"], pa.binary(3)), ["red", "tan"]),
    "numeric": (
        pa.ExtensionArray.from_storage(
            pa.opaque(pa.string(), "numeric", "PostgreSQL"), pa.array(["9.50", None])
        ),
        ["9.50", None],
    ),
    "json": (pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"a":1}', None])), ['{"a":1}', None]),
    "duration": (pa.array([3, 4], pa.duration("s")), ["3", "4"]),
    "many digits": (pa.array([Decimal("9.50"), None], pa.decimal256(50, 2)), ["9.50", None]),
    "dictionary of bytes": (pa.array([b"a", b"b"]).dictionary_encode(), ["a", "b"]),
}


@pytest.mark.parametrize("name", ODD)
def test_types_of_parquet_that_text_files_do_not_have(tmp_path: Path, name: str) -> None:
    column, words = ODD[name]
    table = pa.table({"item_id": ["x", "y"], "title": column, "price": column, "category": column})
    pq.write_table(table, tmp_path / "items.parquet")
    found = read_catalogue(str(tmp_path / "items.parquet"), DataSettings()).items
    assert found["title"].to_list() == words
    assert found["categories"].to_list() == [None if word is None else [word] for word in words]
    numbers = [float(word) if word and re.fullmatch(r"[\d.]+", word) else None for word in words]
    assert found["price"].to_list() == numbers


@pytest.mark.parametrize("odd", ["['Nails', 'Red']", "plain"])
def test_lists_of_texts_are_those_of_json_lines(tmp_path: Path, odd: str) -> None:
    """A batch in which a text is a list itself is read value by value, as text files are."""
    lists = [["Beauty", " ", "Nails "], [], None, [None, "Beauty"], [odd], ["", None]]
    records = [{"item_id": f"i{row}", "title": "x", "categories": one} for row, one in enumerate(lists)]
    read = shop(tmp_path, {"b.parquet": pl.DataFrame(records)})
    (tmp_path / "text").mkdir()
    other = shop(tmp_path / "text", {"b.jsonl": lines(*records)})
    assert column(read.items, "categories") == column(other.items, "categories")
    last = ["Nails", "Red"] if odd.startswith("[") else ["plain"]
    assert column(read.items, "categories") == [["Beauty", "Nails"], None, None, ["Beauty"], last, None]


def test_chunks_and_batches_do_not_change_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = [{"user_id": f"u{n}", "item_id": "i", "rating": n, "timestamp": n} for n in range(25)]
    files: dict[str, str | pl.DataFrame] = {"a.jsonl": lines(*records), "b.parquet": pl.DataFrame(records)}
    whole = rows(shop(tmp_path, files).events)
    monkeypatch.setattr(staging_module, "CHUNK_ROWS", 10)
    monkeypatch.setattr("aisle.data.readers.parquet.BATCH_ROWS", 10)
    assert rows(shop(tmp_path, files).events) == whole
    assert [row["row"] for row in whole] == [*range(1, 26), *range(1, 26)]
    assert len(list((tmp_path / "work").rglob("*.parquet"))) == 3 + 3


def test_reading_leaves_the_source_alone_and_replaces_what_it_staged(tmp_path: Path) -> None:
    read = shop(tmp_path, {"i.csv": "id,title\n1,a\n"})
    assert column(read.items, "title") == ["a"]
    again = shop(tmp_path, {"i.csv": "id,title\n1,b\n"})
    assert column(again.items, "title") == ["b"]
    assert [path.name for path in (tmp_path / "shop").iterdir()] == ["i.csv"]
