"""Mapping files: what they may say, and what is said when they say something else."""

from pathlib import Path

import pytest

from aisle.data.detect import built_in_mappings
from aisle.data.errors import InputError
from aisle.data.mapping import load_mapping, nearest

GOOD = """
ignore = ["*.bak"]

[[file]]
match = "events*.parquet"
table = "events"
[file.columns]
user_id = "visitor"
item_id = "sku"
timestamp = "at"
kind = "action"
text = ["summary", "body"]
[file.kinds]
addtocart = "cart"
"""

BLOCK = '[[file]]\nmatch = "a.csv"\ntable = "events"\nkind = "click"\n'
IDS = '[file.columns]\nuser_id = "u"\nitem_id = "i"\n'


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mapping.toml"
    path.write_text(text)
    return path


def test_mapping_is_read(tmp_path: Path) -> None:
    mapping = load_mapping(written(tmp_path, GOOD))
    file = mapping.file[0]
    assert mapping.ignore == ("*.bak",)
    assert file.sources("user_id") == ("visitor",)
    assert file.sources("text") == ("summary", "body")
    assert file.sources("price") == ()
    assert file.kinds == {"addtocart": "cart"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[file]\n", "line 1, column 7"),
        ("", "file: Field required"),
        (BLOCK.replace("table", "tabel") + IDS, "unknown key file.0.tabel; did you mean 'table'?"),
        (BLOCK.replace("events", "users") + IDS, "'items' or 'events'"),
        (BLOCK + '[file.columns]\nusr_id = "u"\nitem_id = "i"\n', "did you mean 'user_id'?"),
        (BLOCK + '[file.columns]\nuser_id = "u"\n', "item_id is missing"),
        (BLOCK + '[file.columns]\nitem_id = "i"\n', "user_id is missing"),
        (BLOCK.replace('kind = "click"', "") + IDS, "need either `kind`"),
        (BLOCK + IDS + 'kind = "action"\n', "need either `kind`"),
        (BLOCK.replace("click", "like") + IDS, "'view', 'click'"),
        (BLOCK + "header = false\n" + IDS, "`names` and `header = false` go together"),
        (BLOCK + 'names = ["a", "b"]\n' + IDS, "`names` and `header = false` go together"),
        (BLOCK + "first_per_item = true\n" + IDS, "`first_per_item` is for items"),
        (BLOCK + IDS + '[file.kinds]\nbuy = "purchase"\n', "there is none"),
        (BLOCK + 'separator = "::"\n' + IDS, "at most 1 character"),
        (BLOCK + 'encoding = "klingon"\n' + IDS, "unknown encoding 'klingon'"),
        (BLOCK.replace("a.csv", "../a.csv") + IDS, "inside the data folder"),
        (BLOCK.replace("a.csv", "/etc/a.csv") + IDS, "inside the data folder"),
        (BLOCK + 'format = "sequences"\n' + IDS + 'rating = "r"\n', "sequences have a `kind`"),
        (BLOCK.replace("events", "items") + '[file.columns]\nitem_id = "i"\n', "items have no kind"),
    ],
)
def test_what_a_mapping_cannot_say(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        load_mapping(written(tmp_path, text))
    assert said in caught.value.found


def test_missing_and_undecodable_mapping(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        load_mapping(tmp_path / "mapping.toml")
    (tmp_path / "mapping.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="codec can't decode"):
        load_mapping(tmp_path / "mapping.toml")


def test_nearest_names() -> None:
    assert nearest("visitr", ["visitor", "price"]) == "; did you mean 'visitor'?"
    assert nearest("zzz", ["visitor", "price"]) == ""


def test_built_in_mappings_are_valid_and_say_when_they_apply() -> None:
    mappings = built_in_mappings()
    assert {"amazon-2014-2018", "amazon-2023", "sequences", "recbole", "datafiniti"} <= set(mappings)
    for name, mapping in mappings.items():
        for file in mapping.file:
            assert file.needs or file.first_line, name
