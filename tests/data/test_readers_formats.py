"""Ordered sequences, RecBole, bulk indices, one file with both tables: what comes out, written by hand."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from rawshops import at, column, lines, rows, shop

from aisle.data.readers import FileReport


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
