"""Reviews and metadata of Amazon 2014, 2018 and 2023: what comes out, written by hand."""

import gzip
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
from rawshops import at, column, lines, rows, shop

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
