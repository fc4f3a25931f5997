"""Messy values are read or named; input that cannot be used is one clear error."""

import gzip
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from rawshops import lines

from aisle.data.errors import InputError
from aisle.data.readers import RawShop, read_shop
from aisle.data.readers.records import parse_json, parse_literal

Read = Callable[..., RawShop]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Write one file, perhaps a mapping, and read the folder."""

    def write_and_read(name: str, content: str | bytes | pl.DataFrame, mapping: str | None = None) -> RawShop:
        source = tmp_path / "shop"
        source.mkdir()
        if isinstance(content, pl.DataFrame):
            content.write_parquet(source / name)
        else:
            (source / name).write_bytes(content.encode() if isinstance(content, str) else content)
        if mapping is not None:
            (tmp_path / "map.toml").write_text(mapping)
        given = None if mapping is None else tmp_path / "map.toml"
        return read_shop(source, mapping=given, work=tmp_path / "work")

    return write_and_read


def items(shop: RawShop, name: str) -> list[object]:
    assert shop.items is not None
    return shop.items.collect()[name].to_list()


def events(shop: RawShop, name: str) -> list[object]:
    assert shop.events is not None
    return shop.events.collect()[name].to_list()


@pytest.mark.parametrize(
    ("written", "price"),
    [
        ("$12.99", 12.99),
        ("$5.00 - $20.00", 5.0),
        ("US$ 7", 7.0),
        ("1,299.00 EUR", 1299.0),
        ("1,250", 1250.0),
        ("9,99 €", 9.99),
        ("￥15", 15.0),
        ("-3", -3.0),
        ("1e9", 1e9),
        (12, 12.0),
        (["$2"], 2.0),
        ("", None),
        (None, None),
        (".a-box-inner{background-color:#fff}#x .y 12", None),
        ("\n\t \r\n", None),
        ("inf", None),
        (True, None),
        ({"amount": 3}, None),
    ],
)
def test_prices(read: Read, written: object, price: float | None) -> None:
    assert items(read("i.jsonl", lines({"id": "a", "title": "t", "price": written})), "price") == [price]


@pytest.mark.parametrize(
    ("written", "identity"),
    [
        (12, "12"),
        (12.0, "12"),
        ("12.0", "12"),
        (" B01 ", "B01"),
        (2**63, str(2**63)),
        ("01", "01"),
        ("1.50", "1.50"),
    ],
)
def test_ids(read: Read, written: object, identity: str) -> None:
    assert items(read("i.jsonl", lines({"id": written, "title": "t"})), "item_id") == [identity]


@pytest.mark.parametrize("written", ["", " ", "null", "None", "NaN", None, 1.5, True, ["a"], {"a": 1}, 1e300])
def test_ids_that_are_none(read: Read, written: object) -> None:
    shop = read("i.jsonl", lines({"id": written, "title": "t"}, {"id": "b", "title": "t"}))
    assert items(shop, "problem") == ["no item id", None]
    assert items(shop, "item_id") == [None, "b"]
    assert items(shop, "title") == ["t", "t"]


def test_an_id_that_is_none_has_no_type(read: Read) -> None:
    shop = read("i.jsonl", lines(*({"id": written, "title": "t"} for written in (1, "null", "", 2, None))))
    assert items(shop, "item_id") == ["1", None, None, "2", None]


MOMENT = datetime(2018, 6, 17, 10, 30, tzinfo=UTC)
DAY = datetime(2018, 6, 17, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        (1529231400, MOMENT),
        (1529231400_000, MOMENT),
        (1529231400_000_000, MOMENT),
        (1529231400_000_000_000, MOMENT),
        ("1529231400.0", MOMENT),
        ("2018-06-17T10:30:00Z", MOMENT),
        ("2018-06-17T10:30:00.000Z", MOMENT),
        ("2018-06-17T12:30:00+02:00", MOMENT),
        ("2018-06-17 10:30:00", MOMENT),
        ("2018-06-17 10:30", MOMENT),
        ("2018-06-17T10:30:00", MOMENT),
        ("2018-06-17", DAY),
        ("06 17, 2018", DAY),
        ("6 17, 2018", DAY),
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        ("", None),
        (None, None),
    ],
)
def test_times(read: Read, written: object, moment: datetime | None) -> None:
    record = {"user_id": "u", "item_id": "i", "rating": 1, "timestamp": written}
    shop = read("e.jsonl", lines(record))
    assert (events(shop, "timestamp"), events(shop, "problem")) == ([moment], [None])


MAPPED = """
[[file]]
match = "e.csv"
table = "events"
kind = "click"
{}
[file.columns]
user_id = "u"
item_id = "i"
timestamp = "t"
"""


@pytest.mark.parametrize(
    ("setting", "written", "moment"),
    [
        ('timestamp_unit = "ms"', "1000", datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)),
        ('timestamp_format = "%d.%m.%Y"', "17.06.2018", DAY),
        ('timestamp_format = "%Y%m%d"', "20180617", DAY),
    ],
)
def test_times_as_the_mapping_says(read: Read, setting: str, written: str, moment: datetime) -> None:
    assert events(read("e.csv", f"u,i,t\na,b,{written}\n", MAPPED.format(setting)), "timestamp") == [moment]


def test_unreadable_values_are_named_and_their_rows_kept(read: Read) -> None:
    good = {"user_id": "u", "item_id": "i", "rating": 5, "timestamp": 10}
    records = [
        good,
        good | {"rating": "abc"},
        good | {"rating": None},
        good | {"timestamp": "yesterday"},
        good | {"user_id": "null"},
        {"user_id": None, "item_id": None, "rating": "x", "timestamp": 10},
        good | {"rating": 11},
    ]
    shop = read("e.jsonl", lines(*records))
    assert events(shop, "problem") == [
        None,
        "unreadable rating",
        None,
        "unreadable timestamp",
        "no user id",
        "no user id",
        None,
    ]
    assert events(shop, "rating") == [5, None, None, 5, 5, None, 11]


def test_lines_of_every_kind(read: Read) -> None:
    good = '{"id": "a", "title": "t"}'
    text = [
        '\ufeff{"id": "1", "title": "bom"}\r',
        "",
        "   \r",
        '{"id": "2", "title": ',
        "[1, 2]",
        '{"id": "3", "title": NaN, "price": Infinity}',
        '{"id": "4", "title": "half \\ud83d pair"}',
        '{"id": "5", "title": {"en": "nested"}, "categories": {"a": [["b"]]}, "description": 7}',
        '{"id": "6", "title": ["", "second"], "categories": "[\'x\', \'y\']"}',
        '{"id": "7", "title": "a\u2028b"}',
        '{"id": "8", "categories": ' + "[" * 900 + "]" * 900 + "}",
        *[good] * 5,
    ]
    shop = read("i.jsonl", "\n".join(text))
    assert items(shop, "row") == [1, *range(4, 17)]
    assert items(shop, "title")[:9] == [
        "bom", None, None, None, "half ? pair", '{"en":"nested"}', "second", "a\u2028b", None,
    ]  # fmt: skip
    assert items(shop, "problem")[:4] == [None, "not JSON", "not JSON", None]
    assert items(shop, "categories")[5:7] == [["b"], ["x", "y"]]
    assert items(shop, "description")[5] == "7"
    assert items(shop, "problem")[8] in (None, "nested too deeply")


def test_literals_never_run_and_may_be_broken() -> None:
    assert parse_literal(b"{'a': __import__('os').getcwd()}") is None
    assert parse_literal(b"{'a': [1, 2}") is None
    assert parse_literal(b"{'a': " + b"(" * 10_000 + b"}") is None
    assert parse_literal(b"'text'") is None
    assert parse_literal(b"{1: (True, None), 'x': '\\ud800'}") == {"1": [True, None], "x": "?"}
    assert parse_json(b"[" * 100_000) is None
    assert parse_json(b'{"a": ' + b"9" * 5000 + b"}") is None


@pytest.mark.parametrize("after", ["", '9,"fine"\n'], ids=["to the end", "until the next quote"])
def test_a_quote_that_is_not_closed_takes_one_line_with_it(read: Read, after: str) -> None:
    many = "".join(f"{number},{'x' * 100}\n" for number in range(10, 2000))  # more than a field may hold
    shop = read("items.csv", f'item_id,title\n1,a\n2,"b\n{many}3,c\n{after}')
    problems = [problem for problem in items(shop, "problem") if problem]
    assert problems == ["field too long"]
    found = [one for one in items(shop, "item_id") if one]
    assert found == ["1", *map(str, range(10, 2000)), "3", *(["9"] if after else [])]
    assert items(shop, "row") == list(range(2, 2 + len(found) + 1))


def test_a_short_file_with_a_quote_that_is_not_closed(read: Read) -> None:
    shop = read("items.csv", 'item_id,title\n1,"a\n2,b\n3,c\n')
    assert items(shop, "problem") == ["unclosed quote", None, None]
    assert items(shop, "item_id") == [None, "2", "3"]
    assert items(shop, "row") == [2, 3, 4]


def test_two_columns_of_one_name(read: Read) -> None:
    with pytest.raises(InputError, match="2 columns 'title'"):
        read("items.csv", "item_id,title,title\n1,a,b\n2,c,\n")


def test_two_columns_of_one_name_that_nobody_reads(read: Read) -> None:
    shop = read("items.csv", "item_id,title,,,\n1,a,b,,\n2,c,,,\n")
    assert items(shop, "title") == ["a", "c"]


def test_csv_with_quotes_and_lines_inside(read: Read) -> None:
    text = (
        "id,title,description\r\n"
        '1,"a ""quoted"", title","two\r\nlines"\r\n'
        "\r\n"
        "2,too,many,fields\r\n"
        "3,few\r\n"
        '4,"broken" quote,x\r\n'
        "5,stray\rreturn,x\r\n"
        "6,f,\r\n"
        "7,g,\r\n"
        '8,"never closed,x\r\n'
    )
    shop = read("i.csv", text)
    assert items(shop, "row") == [2, 5, 6, 7, 8, 9, 10, 11]
    wrong = "wrong number of fields"
    assert items(shop, "problem") == [None, wrong, wrong, "broken quotes", None, None, None, "unclosed quote"]
    assert items(shop, "title") == ['a "quoted", title', None, None, None, "stray return", "f", "g", None]
    assert items(shop, "description") == ["two\nlines", None, None, None, "x", None, None, None]


def failure(read: Read, *arguments: object) -> InputError:
    with pytest.raises(InputError) as caught:
        read(*arguments)
    assert all((caught.value.expected, caught.value.found, caught.value.fix))
    return caught.value


GOOD = lines(*[{"id": f"a{n}", "title": "t" * n} for n in range(200)])
CSV = "user_id,item_id,rating,timestamp\n"


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("i.jsonl", b"", r"i\.jsonl is empty"),
        ("i.jsonl.gz", gzip.compress(b"", mtime=0), r"i\.jsonl\.gz is empty"),
        ("e.csv", CSV, r"e\.csv is empty"),
        ("i.jsonl.gz", gzip.compress(GOOD.encode(), mtime=0)[:-20], r"i\.jsonl\.gz ends too early"),
        ("i.jsonl.gz", gzip.compress(GOOD.encode(), mtime=0)[:3], r"i\.jsonl\.gz ends too early"),
        ("i.jsonl.gz", b"\x1f\x8b" + b"junk" * 9, "damaged|too early"),
        ("i.jsonl", GOOD.encode() + b'{"id": "x", "title": "\xff"}\n', r"i\.jsonl, line 201: .* not utf-8"),
        ("i.csv", b"id,title\n1,caf\xe9\n", r"i\.csv, line 2: .* not utf-8"),
        ("i.csv", "id,title\n1,t\n".encode("utf-16"), r"i\.csv, line 1: .* not utf-8"),
        ("i.jsonl", lines({"id": 1, "title": "t"}, {"id": "a", "title": "t"}), "text, first on line 2"),
        ("s.jsonl", lines({"user": 1, "items": [1, "2"]}), "mixes numbers and text"),
        ("s.jsonl", lines({"user": 1, "items": [1]}, {"user": 1, "items": [2]}), "'1' on lines 1 and 2"),
        ("i.parquet", b"not parquet at all", r"i\.parquet"),
        ("i.parquet", b"PAR1" + b"\0" * 100 + b"PAR1", r"i\.parquet"),
        ("i.jsonl", '{"id": "a", "title": "t"}\n' + "x\n" * 2, "2 of 3 rows cannot be parsed .not JSON: 2"),
        ("i.csv", "id,title\n1,t\n" + "x\n" * 2, "2 of 3 rows cannot be parsed .wrong number of fields: 2"),
        ("e.csv", CSV + "a,b,x,1\nc,d,y,2\n", "each of its 2 rows has a problem .unreadable rating: 2"),
        ("i.jsonl", "id,title\n1,t\n", "not JSON lines"),
        ("readme.md", "hello", "an unknown kind of file"),
        ("x.inter", "user_id\titem_id\n1\t2\n", "without RecBole's typed header"),
    ],
)  # fmt: skip
def test_bad_input(read: Read, name: str, content: str | bytes, found: str) -> None:
    assert re.search(found, failure(read, name, content).found)


def test_a_cut_parquet_file(read: Read, tmp_path: Path) -> None:
    pl.DataFrame({"id": ["a"] * 500, "title": ["t"] * 500}).write_parquet(tmp_path / "whole.parquet")
    content = (tmp_path / "whole.parquet").read_bytes()
    assert "i.parquet" in failure(read, "i.parquet", content[: len(content) // 2]).found


def test_undecodable_bytes_name_the_way_out_and_it_works(read: Read, tmp_path: Path) -> None:
    mapping = (
        '[[file]]\nmatch = "i.csv"\ntable = "items"\n{}\n[file.columns]\nitem_id = "id"\ntitle = "title"\n'
    )
    content = "id,title\n1,café\n".encode("latin-1")
    assert "encoding" in failure(read, "i.csv", content, mapping.format("")).fix
    (tmp_path / "map.toml").write_text(mapping.format('encoding = "latin-1"'))
    shop = read_shop(tmp_path / "shop", mapping=tmp_path / "map.toml", work=tmp_path / "work")
    assert items(shop, "title") == ["café"]


def test_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        read_shop(tmp_path / "nowhere", mapping=None, work=tmp_path / "work")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no files"):
        read_shop(tmp_path / "empty", mapping=None, work=tmp_path / "work")


def test_a_file_of_mostly_junk_is_given_up_early(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aisle.data.readers.staging.CHUNK_ROWS", 1_000)
    found = failure(read, "i.jsonl", '{"id": "a", "title": "t"}\n' + "junk\n" * 50_000).found
    assert "999 of 1000 rows" in found


def test_files_that_are_not_read_are_warned_about(
    read: Read, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "labels.csv").write_text("label,review\n1,good\n")
    (tmp_path / "shop" / "i.csv").write_text("id,title\n1,t\n")
    shop = read_shop(tmp_path / "shop", mapping=None, work=tmp_path / "work")
    assert "labels.csv is not read" in caplog.text
    assert [(report.file, report.table) for report in shop.files] == [
        ("labels.csv", None),
        ("i.csv", "items"),
    ]
