"""What the documentation of the readers shows is what they do."""

import doctest
import importlib
import re
from pathlib import Path

import polars as pl
import pytest
from rawshops import shop

from aisle.data.detect import built_in_mappings
from aisle.data.mapping import FileMapping

MODULES = (
    "mapping",
    "detect",
    *(f"readers.{name}" for name in ("canonical", "delimited", "json_lines", "records", "shapes")),
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_the_documentation(name: str) -> None:
    assert doctest.testmod(importlib.import_module(f"aisle.data.{name}")).failed == 0


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
