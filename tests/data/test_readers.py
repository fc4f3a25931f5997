"""Every reader on small files: the rows and values that come out, written by hand."""

import doctest
import gzip
import importlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from aisle.data.detect import built_in_mappings
from aisle.data.mapping import FileMapping
from aisle.data.readers import FileReport, RawShop, read_shop
from aisle.data.readers import staging as staging_module
from aisle.data.readers.canonical import TRACE
from aisle.data.schema import EVENTS, ITEMS

MODULES = (
    "mapping",
    "detect",
    *(f"readers.{name}" for name in ("canonical", "delimited", "json_lines", "records", "shapes")),
)


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


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_the_documentation(name: str) -> None:
    assert doctest.testmod(importlib.import_module(f"aisle.data.{name}")).failed == 0


REVIEW_2014 = {
    "reviewerID": "A1",
    "asin": "B01",
    "overall": 4.0,
    "summary": "Nice",
    "reviewText": "Works well.",
    "unixReviewTime": 1393545600,
    "reviewTime": "02 28, 2014",
}
EVENT_2014 = {
    "user_id": "A1",
    "item_id": "B01",
    "kind": "review",
    "timestamp": at(2014, 2, 28),
    "rating": 4.0,
    "text": "Nice\nWorks well.",
    "row": 1,
}


def test_amazon_2014_reviews_in_all_formats(tmp_path: Path) -> None:
    values = [str(value) for value in REVIEW_2014.values()]
    quoted = ",".join(f'"{value}"' for value in values)
    files: dict[str, str | bytes | pl.DataFrame] = {
        "a.json": lines(REVIEW_2014),
        "b.json.gz": gzip.compress(lines(REVIEW_2014).encode()),
        "c.json": f"{REVIEW_2014!r}\n",
        "d.parquet": pl.DataFrame([REVIEW_2014]),
        "e.csv": ",".join(REVIEW_2014) + "\n" + quoted + "\n",
    }
    read = shop(tmp_path, files)
    assert rows(read.events) == [
        EVENT_2014 | {"source": name} | ({"row": 2} if name == "e.csv" else {}) for name in files
    ]
    assert read.items is None
    assert [report.rows for report in read.files] == [1] * 5


def test_amazon_2014_metadata_in_python_literals(tmp_path: Path) -> None:
    record = {
        "asin": "B01",
        "title": 'It\'s a "pen"',
        "price": 3.5,
        "imUrl": "http://x/1.jpg",
        "related": {"also_bought": ["B02"]},
        "brand": "Bic",
        "categories": [["Office", "Pens"], ["Office", "Gifts"]],
    }
    assert rows(shop(tmp_path, {"meta.json": f"{record!r}\n{{'asin': 'B02'}}\n"}).items) == [
        {
            "item_id": "B01",
            "title": 'It\'s a "pen"',
            "brand": "Bic",
            "categories": ["Office", "Pens", "Gifts"],
            "price": 3.5,
            "image_url": "http://x/1.jpg",
            "source": "meta.json",
            "row": 1,
        },
        {"item_id": "B02", "source": "meta.json", "row": 2},
    ]


def test_amazon_2018_metadata(tmp_path: Path) -> None:
    record = {
        "asin": "B01",
        "title": "Card",
        "category": ["Gift Cards", "Gift Cards"],
        "description": ["First.", "", "Second."],
        "feature": ["Never expires"],
        "also_buy": [],
        "price": "$25.00",
        "imageURL": ["http://x/small.jpg"],
        "imageURLHighRes": [],
        "details": {"\n  Weight: \n ": "3 ounces", "ASIN: ": "B01", "Color:": ["red", "blue"]},
    }
    assert rows(shop(tmp_path, {"meta.json": lines(record)}).items) == [
        {
            "item_id": "B01",
            "title": "Card",
            "description": "First.\nSecond.\nNever expires",
            "categories": ["Gift Cards"],
            "price": 25.0,
            "image_url": "http://x/small.jpg",
            "attributes": [
                {"name": "Weight", "value": "3 ounces"},
                {"name": "Color", "value": "red, blue"},
            ],
            "source": "meta.json",
            "row": 1,
        }
    ]


REVIEW_2023 = {
    "user_id": "A1",
    "asin": "B01x",
    "parent_asin": "B01",
    "rating": 5.0,
    "title": "Good",
    "text": "I like it",
    "timestamp": 1588615855070,
    "verified_purchase": True,
}
META_2023 = {
    "main_category": "All Beauty",
    "title": "Spray",
    "average_rating": 4.8,
    "rating_number": 10,
    "features": ["Light"],
    "description": ["A spray."],
    "price": "from 9.99",
    "store": "Maker",
    "categories": ["Hair", "All Beauty"],
    "parent_asin": "B01",
}
ITEM_2023 = {
    "item_id": "B01",
    "title": "Spray",
    "description": "A spray.\nLight",
    "brand": "Maker",
    "categories": ["All Beauty", "Hair"],
    "image_url": "http://x/l.jpg",
    "attributes": [{"name": "Item Form", "value": "Spray"}],
    "row": 1,
}


def test_amazon_2023_json_lines(tmp_path: Path) -> None:
    images = [{"thumb": "http://x/t.jpg", "large": "http://x/l.jpg", "hi_res": None}]
    meta = META_2023 | {"images": images, "details": {"Item Form": "Spray", "Best Sellers Rank": {"Hair": 1}}}
    read = shop(tmp_path, {"reviews.jsonl": lines(REVIEW_2023), "meta.jsonl": lines(meta)})
    assert rows(read.items) == [ITEM_2023 | {"source": "meta.jsonl"}]
    assert rows(read.events) == [
        {
            "user_id": "A1",
            "item_id": "B01",
            "kind": "review",
            "timestamp": datetime(2020, 5, 4, 18, 10, 55, 70000, tzinfo=UTC),
            "rating": 5.0,
            "text": "Good\nI like it",
            "source": "reviews.jsonl",
            "row": 1,
        }
    ]
    assert "1 unreadable values of price left empty" in [report.note for report in read.files]


def test_amazon_2023_parquet_has_images_in_lists_and_details_in_text(tmp_path: Path) -> None:
    images = {"thumb": ["http://x/t.jpg"], "large": ["http://x/l.jpg"], "hi_res": [None]}
    meta = META_2023 | {"images": images, "details": '{"Item Form": "Spray", "ASIN": "B01"}'}
    read = shop(
        tmp_path, {"reviews.parquet": pl.DataFrame([REVIEW_2023]), "meta.parquet": pl.DataFrame([meta])}
    )
    assert rows(read.items) == [ITEM_2023 | {"source": "meta.parquet"}]
    assert column(read.events, "text") == ["Good\nI like it"]
    assert column(read.events, "item_id") == ["B01"]


@pytest.mark.parametrize("key", ["asin", "item_id", "id"])
def test_sequences_with_items_under_any_key(tmp_path: Path, key: str) -> None:
    sequences = lines({"user": 7, "items": [30, 10]}, {"user": 8, "items": [30]})
    read = shop(
        tmp_path, {"items.jsonl": lines({key: 10, "title": "Pen"}), "sequences.jsonl": sequences + "\n"}
    )
    assert rows(read.items) == [{"item_id": "10", "title": "Pen", "source": "items.jsonl", "row": 1}]
    seen = {"kind": "purchase", "source": "sequences.jsonl"}
    assert rows(read.events) == [
        seen | {"user_id": "7", "item_id": "30", "position": 0, "row": 1},
        seen | {"user_id": "7", "item_id": "10", "position": 1, "row": 1},
        seen | {"user_id": "8", "item_id": "30", "position": 0, "row": 2},
    ]


def test_sequences_that_are_none(tmp_path: Path) -> None:
    text = lines({"user": "a", "items": ["x", None]}, {"user": "b", "items": []}, {"user": "c"}) + "{\n"
    read = shop(tmp_path, {"sequences.jsonl": text + lines({"user": "d", "items": ["x"]})})
    assert column(read.events, "problem") == [
        None,
        "no item id",
        "no list of items",
        "no list of items",
        "not JSON",
        None,
    ]
    assert column(read.events, "user_id") == ["a", "a", "b", "c", None, "d"]


def test_recbole(tmp_path: Path) -> None:
    inter = 'user_id:token\titem_id:token\trating:float\ttimestamp:float\nu1\ti1\t4.5\t1.4E9\nu"2\ti1\t3\t\n'
    item = (
        "item_id:token\titem_name:token_seq\tcategories:token_seq\tprice:float\ni1\tA pen\tOffice Pens\t2\n"
    )
    read = shop(tmp_path, {"shop.inter": inter, "shop.item": item, "shop.user": "user_id:token\nu1\n"})
    assert rows(read.items) == [
        {
            "item_id": "i1",
            "title": "A pen",
            "categories": ["Office", "Pens"],
            "price": 2.0,
            "source": "shop.item",
            "row": 2,
        }
    ]
    assert column(read.events, "user_id") == ["u1", 'u"2']
    assert column(read.events, "rating") == [4.5, 3.0]
    assert column(read.events, "timestamp") == [datetime.fromtimestamp(1.4e9, UTC), None]
    assert FileReport("shop.user", None, None, 0, "an unknown kind of file (.user)") in read.files


def test_recbole_without_ratings_and_times_is_clicks_in_the_order_of_the_file(tmp_path: Path) -> None:
    read = shop(tmp_path, {"shop.inter": "user_id:token\titem_id:token\nu\tb\nu\ta\n"})
    assert column(read.events, "kind") == ["click", "click"]
    assert [(row["item_id"], row["position"]) for row in rows(read.events)] == [("b", 1), ("a", 2)]
    assert "the order of the rows" in read.files[0].note


def test_one_file_with_items_and_events(tmp_path: Path) -> None:
    text = (
        "id,brand,categories,name,reviews.username,reviews.rating,reviews.date,reviews.title,reviews.text\n"
        'p1,Acme,"Food,Snacks,Food",Crackers,ann,5,2017-07-09T00:00:00.000Z,Good,"Very, very good"\n'
        "p1,Acme,Food,Crackers (again),bob,2,2017-07-10T00:00:00Z,,Dry\n"
    )
    read = shop(tmp_path, {"reviews.csv": text})
    assert [(row["item_id"], row["title"], row["categories"]) for row in rows(read.items)] == [
        ("p1", "Crackers", ["Food", "Snacks"])
    ]
    assert column(read.events, "user_id") == ["ann", "bob"]
    assert column(read.events, "text") == ["Good\nVery, very good", "Dry"]
    assert column(read.events, "timestamp") == [at(2017, 7, 9), at(2017, 7, 10)]
    assert [(report.table, report.rows, report.note) for report in read.files] == [
        ("events", 2, ""),
        ("items", 1, "1 rows repeat an item: its first row is taken"),
    ]


def test_bulk_index_pairs_are_items(tmp_path: Path) -> None:
    text = lines({"index": {"_id": "p1"}}, {"title": "Pen", "bullet_points": "Blue"})
    text += lines({"index": {"_id": "p2"}}, {"asin": "B2", "title": "Ink", "color": "red"})
    read = shop(tmp_path, {"products.ndjson": text})
    assert rows(read.items) == [
        {"item_id": "p1", "title": "Pen", "description": "Blue", "source": "products.ndjson", "row": 2},
        {
            "item_id": "B2",
            "title": "Ink",
            "attributes": [{"name": "color", "value": "red"}],
            "source": "products.ndjson",
            "row": 4,
        },
    ]


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


def test_the_worked_example_of_the_documentation(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text()
    blocks = dict(re.findall(r"^```(csv|toml)\n(.*?)^```", page, flags=re.DOTALL | re.MULTILINE))
    read = shop(tmp_path, {"log-2024.csv": blocks["csv"]}, blocks["toml"])
    table = page.split("rows come out as\n\n")[1].split("\n\n")[0].splitlines()
    names, _, *printed = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    assert read.events is not None
    moments = pl.col("timestamp").dt.strftime("%Y-%m-%d %H:%M:%S")
    found = read.events.with_columns(moments).select(pl.col(names).cast(pl.String).fill_null("")).collect()
    assert [list(row) for row in found.iter_rows()] == printed


def test_the_documentation_names_every_built_in_mapping() -> None:
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text()
    for name in built_in_mappings():
        assert f"| `{name}` |" in page
    for key in FileMapping.model_fields:
        assert f"`{key}" in page, key
