"""Which files are read, how, and by which mapping."""

import gzip
import json
from pathlib import Path

import pytest

from aisle.data.detect import detect, look_at
from aisle.data.errors import InputError

REVIEW_2014 = {"reviewerID": "A", "asin": "B", "overall": 5.0, "unixReviewTime": 1}
REVIEW_2023 = {"user_id": "A", "asin": "B", "parent_asin": "B", "rating": 5.0, "timestamp": 1, "title": "t"}
META_2014 = {"asin": "B", "imUrl": "http://x", "categories": [["a"]]}
META_2018 = {"asin": "B", "title": "t", "also_buy": [], "category": ["a"]}
META_2023 = {"parent_asin": "B", "title": "t", "main_category": "a", "features": []}


def chosen(folder: Path) -> dict[str, list[tuple[str, str]]]:
    """Readers and tables by file."""
    found: dict[str, list[tuple[str, str]]] = {}
    for plan in detect(folder).plans:
        found.setdefault(plan.name, []).append((plan.reader, plan.mapping.table))
    return found


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.json", json.dumps(REVIEW_2014), [("amazon-2014-2018:jsonl", "events")]),
        ("a.json", repr(META_2014), [("amazon-2014-2018:jsonl", "items")]),
        ("a.json", json.dumps(META_2018), [("amazon-2014-2018:jsonl", "items")]),
        ("a.jsonl", json.dumps(REVIEW_2023), [("amazon-2023:jsonl", "events")]),
        ("a.jsonl", json.dumps(META_2023), [("amazon-2023:jsonl", "items")]),
        ("s.jsonl", '{"user": 1, "items": [2]}', [("sequences:jsonl", "events")]),
        ("i.jsonl", '{"id": 1, "title": "t"}', [("catalogue:jsonl", "items")]),
        ("i.csv", "sku;name;price\n1;t;2\n", [("catalogue:csv", "items")]),
        ("x.inter", "user_id:token\titem_id:token\n1\t2\n", [("recbole:recbole", "events")]),
        ("x.item", "item_id:token\ttitle:token_seq\n1\t2\n", [("recbole:recbole", "items")]),
        ("e.csv", "user_id,item_id,rating,timestamp\n1,2,3,4\n", [("interactions:csv", "events")]),
        ("e.csv", "user_id,item_id,timestamp\n1,2,3\n", [("interactions:csv", "events")]),
        ("e.csv", "user_id,item_id,kind,timestamp\n1,2,view,3\n", [("canonical:csv", "events")]),
        ("e.tsv", "user_id\titem_id\tkind\ttimestamp\n1\t2\tview\t4\n", [("canonical:tsv", "events")]),
        (
            "d.csv",
            "id,name,reviews.username,reviews.rating\n1,n,u,5\n",
            [("datafiniti:csv", "events"), ("datafiniti:csv", "items")],
        ),
        ("p.ndjson", '{"index": {"_id": "1"}}\n{"title": "t"}\n', [("bulk-index:bulk", "items")]),
    ],
)
def test_readers_are_chosen_by_looking(
    tmp_path: Path, name: str, text: str, expected: list[tuple[str, str]]
) -> None:
    (tmp_path / name).write_text(text)
    assert chosen(tmp_path) == {name: expected}
    (tmp_path / name).unlink()
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
    assert chosen(tmp_path) == {f"{name}.gz": expected}


def test_gzip_is_told_by_content_not_by_name(tmp_path: Path) -> None:
    (tmp_path / "i.csv").write_bytes(gzip.compress(b"id,title\n1,t\n"))
    assert chosen(tmp_path) == {"i.csv": [("catalogue:csv", "items")]}


def test_other_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("id,title\n1,t\n")
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "faq.json").write_text('{\n"questions": []\n}')
    (tmp_path / "labels.csv").write_text("label,review\n1,good\n")
    (tmp_path / "old").mkdir()
    (tmp_path / ".hidden.csv").write_text("")
    (tmp_path / "_SUCCESS").write_text("")
    skipped = detect(tmp_path).skipped
    assert skipped == {
        "notes.txt": "an unknown kind of file (.txt)",
        "faq.json": "not JSON lines, which have one object on each line",
        "labels.csv": "no known items or events in its columns (label, review)",
        "old": "a folder",
    }


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("i.csv", "item_id\n1\n2\n", "one of title, name, product_name; it has item_id"),
        ("i.jsonl", '{"sku": 1, "price": 2}', "one of title, name, product_name; it has sku, price"),
        ("i.csv", "title\nt\n", "one of item_id, asin, id, product_id, sku; it has title"),
    ],
)
def test_an_incomplete_catalogue_is_told_what_it_lacks(
    tmp_path: Path, name: str, text: str, reason: str
) -> None:
    (tmp_path / name).write_text(text)
    assert detect(tmp_path).skipped == {name: f"a catalogue needs at least one more column, {reason}"}


@pytest.mark.parametrize("header", ["item_id,label", "price,color", "user_id,item_id"])
def test_other_columns_make_no_catalogue(tmp_path: Path, header: str) -> None:
    (tmp_path / "x.csv").write_text(f"{header}\n1,2\n")
    assert detect(tmp_path).skipped["x.csv"].startswith("no known items or events")


@pytest.mark.parametrize(
    ("header", "lacks"),
    [("user_id,item_id,rating", "timestamp, position"), ("user_id,timestamp", "item_id")],
)
def test_incomplete_events_are_told_what_they_lack(tmp_path: Path, header: str, lacks: str) -> None:
    (tmp_path / "x.csv").write_text(f"{header}\n1,2,3\n")
    assert detect(tmp_path).skipped["x.csv"].endswith(f"events need at least one more, one of {lacks}")


MAPPING = """
ignore = ["old*"]
[[file]]
match = "log/*.csv"
table = "events"
kind = "click"
[file.columns]
user_id = "visitor"
item_id = "sku"
"""


def test_a_mapping_in_the_folder_comes_before_the_built_in_ones(tmp_path: Path) -> None:
    (tmp_path / "mapping.toml").write_text(MAPPING)
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "1.csv").write_text("visitor,sku\na,b\n")
    (tmp_path / "old.csv").write_text("id,title\n1,t\n")
    (tmp_path / "items.csv").write_text("id,title\n1,t\n")
    assert chosen(tmp_path) == {
        "log/1.csv": [("mapping:csv", "events")],
        "items.csv": [("catalogue:csv", "items")],
    }
    assert detect(tmp_path).skipped["old.csv"] == "ignored by the mapping"


def test_the_first_block_of_a_table_takes_a_file(tmp_path: Path) -> None:
    again = MAPPING.replace("log/*.csv", "*.csv").replace('ignore = ["old*"]', "")
    (tmp_path / "mapping.toml").write_text(again.replace("*.csv", "a.csv") + again)
    (tmp_path / "a.csv").write_text("visitor,sku\na,b\n")
    (tmp_path / "b.csv").write_text("visitor,sku\na,b\n")
    assert chosen(tmp_path) == {name: [("mapping:csv", "events")] for name in ("a.csv", "b.csv")}


def test_a_mapping_without_its_file_or_column(tmp_path: Path) -> None:
    (tmp_path / "mapping.toml").write_text(MAPPING.replace("log/*.csv", "evnts.csv"))
    (tmp_path / "events.csv").write_text("visitr,sku\na,b\n")
    with pytest.raises(InputError, match=r"did you mean 'events\.csv'") as caught:
        detect(tmp_path)
    assert "'evnts.csv'" in caught.value.expected
    (tmp_path / "mapping.toml").write_text(MAPPING.replace("log/*.csv", "events.csv"))
    with pytest.raises(InputError, match="did you mean 'visitr'") as caught:
        detect(tmp_path)
    assert "'visitor' in events.csv" in caught.value.expected


def test_a_column_that_only_late_lines_have_is_known(tmp_path: Path) -> None:
    lines = [{"visitor": "a", "sku": "b"}] * 150
    late = {"visitor": "a", "sku": "b", "stars": 3}
    (tmp_path / "e.jsonl").write_text("\n".join(map(json.dumps, [*lines, late])))
    text = MAPPING.replace("log/*.csv", "e.jsonl") + 'rating = "stars"\n'
    (tmp_path / "mapping.toml").write_text(text)
    assert chosen(tmp_path) == {"e.jsonl": [("mapping:jsonl", "events")]}
    (tmp_path / "mapping.toml").write_text(text.replace('"stars"', '"star"'))
    with pytest.raises(InputError, match="did you mean 'stars'"):
        detect(tmp_path)


def test_no_folder_and_one_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        detect(tmp_path / "shop")
    (tmp_path / "i.csv").write_text("id,title\n1,t\n")
    (tmp_path / "e.csv").write_text("user_id,item_id,rating,timestamp\n1,2,3,4\n")
    assert chosen(tmp_path / "i.csv") == {"i.csv": [("catalogue:csv", "items")]}


def test_a_look_at_delimited_text(tmp_path: Path) -> None:
    path = tmp_path / "i.csv"
    path.write_bytes('\ufeff"id"|"title"\r\n1|t\r\n'.encode())
    look = look_at(path)
    assert not isinstance(look, str)
    assert (look.columns, look.separator) == (("id", "title"), "|")
