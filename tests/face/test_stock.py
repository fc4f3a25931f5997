"""Which items are in stock, as tables of shops say it."""

from pathlib import Path

import polars as pl
import pytest

from aisle.batch.stock import read_stock
from aisle.data.errors import InputError
from aisle.data.ids import Ids

ITEMS = Ids(["00123", "123", "B0X", "7"])


def test_ids_keep_their_zeros(tmp_path: Path) -> None:
    (tmp_path / "stock.csv").write_text("item_id\n00123\n7\n")
    assert read_stock(tmp_path / "stock.csv", None, ITEMS).to_list() == ["00123", "7"]


@pytest.mark.parametrize("name", ["stock.csv", "stock.jsonl"])
def test_an_id_of_letters_may_come_late(tmp_path: Path, name: str) -> None:
    ids = [str(number) for number in range(1000, 1400)] + ["B0X"]
    line = "{}" if name.endswith(".csv") else '{{"item_id": "{}"}}'
    rows = ["item_id"] * name.endswith(".csv") + [line.format(one) for one in ids]
    (tmp_path / name).write_text("\n".join(rows) + "\n")
    assert read_stock(tmp_path / name, None, ITEMS).to_list() == ["B0X"]


@pytest.mark.parametrize(
    ("told", "stocked"),
    [
        (["2", "0", "", "0.5"], ["00123", "7"]),
        (["true", "False", "", " TRUE"], ["00123", "7"]),
    ],
)
def test_a_column_of_a_csv_tells(tmp_path: Path, told: list[str], stocked: list[str]) -> None:
    table = pl.DataFrame({"item_id": ["00123", "123", "B0X", "7"], "left": told})
    table.write_csv(tmp_path / "stock.csv")
    assert read_stock(tmp_path / "stock.csv", "left", ITEMS).to_list() == stocked


def test_a_column_that_does_not_tell_is_refused(tmp_path: Path) -> None:
    (tmp_path / "stock.csv").write_text("item_id,left\n7,many\n")
    with pytest.raises(InputError, match="--stock-column"):
        read_stock(tmp_path / "stock.csv", "left", ITEMS)
