"""Tables of texts by the names that shops give them."""

import gzip
from pathlib import Path

import pytest

from aisle.data.errors import InputError
from aisle.retriever.corpus import read_table, table_texts

LINES = b'{"stars": 5, "text": "good"}\n{"stars": 4.5, "text": "fine", "more": {"size": "L"}}\n'


@pytest.mark.parametrize("name", ["r.jsonl", "r.ndjson", "r.json", "r.json.gz"])
def test_json_lines_whatever_their_name(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(LINES, mtime=0) if name.endswith("gz") else LINES)
    assert read_table(path)["stars"].to_list() == [5.0, 4.5]
    assert sorted(table_texts(path, "text")) == ["fine", "good"]


def test_a_json_that_is_no_lines_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text('[{"text": "good"},\n {"text": ')
    with pytest.raises(InputError, match=r"r\.json"):
        read_table(tmp_path / "r.json")
