"""The real data sets load without a mapping, and hold what their README says they hold."""

from pathlib import Path

import polars as pl
import pytest

from aisle.data.errors import InputError
from aisle.data.readers import read_shop


@pytest.mark.parametrize(
    ("name", "users", "catalogue", "used", "events", "kind"),
    [
        ("amazon-beauty-2014", 22_363, 12_101, 12_101, 198_502, "purchase"),
        ("amazon-office-2014", 4_905, 2_420, 2_420, 53_258, "purchase"),
        ("amazon-games-2018", 50_546, 16_859, 16_859, 440_264, "purchase"),
        ("amazon-mixed-2023", 3_744, 10_000, 3_700, 25_023, "review"),
        ("amazon-giftcards-2018", 458, 1_547, 148, 2_972, "review"),
        ("amazon-instruments-2014", 1_429, None, 900, 10_261, "review"),
        ("chinese-shop", 8_923, 96, 96, 44_852, "review"),
    ],
)
def test_clean_folders(
    shared_data: Path,
    tmp_path: Path,
    name: str,
    users: int,
    catalogue: int | None,
    used: int,
    events: int,
    kind: str,
) -> None:
    shop = read_shop(shared_data / name, mapping=None, work=tmp_path)
    assert shop.events is not None
    rows = shop.events.collect()
    assert (rows.height, rows["user_id"].n_unique(), rows["item_id"].n_unique()) == (events, users, used)
    assert rows["kind"].unique().to_list() == [kind]
    assert rows["problem"].null_count() == rows.height
    assert rows.filter(pl.col("timestamp").is_null() == pl.col("position").is_null()).is_empty()
    if catalogue is None:
        assert shop.items is None
        return
    assert shop.items is not None
    items = shop.items.collect()
    assert (items.height, items["item_id"].n_unique()) == (catalogue, catalogue)
    assert items["problem"].null_count() == items.height
    assert set(rows["item_id"]) <= set(items["item_id"])
    assert items["title"].null_count() < items.height * 0.01


def test_gift_cards_keep_what_is_messy(shared_data: Path, tmp_path: Path) -> None:
    shop = read_shop(shared_data / "amazon-giftcards-2018", mapping=None, work=tmp_path)
    assert shop.items is not None
    assert shop.events is not None
    items, events = shop.items.collect(), shop.events.collect()
    assert items["price"].drop_nulls().is_between(1, 3_000).all()
    assert items["price"].drop_nulls().len() == 1_547 - 1_185 - 4
    assert "4 unreadable values of price left empty" in [report.note for report in shop.files]
    assert (
        items["categories"].drop_nulls().list.n_unique().equals(items["categories"].drop_nulls().list.len())
    )
    assert events["text"].str.contains("\n").sum() > events.height // 2
    assert events["timestamp"].dt.year().is_between(2004, 2018).all()


def test_datafiniti_gives_items_and_events(shared_data: Path, tmp_path: Path) -> None:
    shop = read_shop(shared_data / "datafiniti-reviews", mapping=None, work=tmp_path)
    assert shop.items is not None
    assert shop.events is not None
    items, events = shop.items.collect(), shop.events.collect()
    assert events.height == 30_000
    assert events["item_id"].n_unique() == items.height == items["item_id"].n_unique() == 271
    assert dict(events["problem"].drop_nulls().value_counts().rows()) == {
        "no user id": 62,
        "unreadable timestamp": 8,
    }
    assert events["user_id"].drop_nulls().n_unique() == 24_915
    notes = [report.note for report in shop.files]
    assert notes == ["", "29,729 rows repeat an item: its first row is taken"]


def test_esci_gives_items_alone(shared_data: Path, tmp_path: Path) -> None:
    shop = read_shop(shared_data / "search-esci", mapping=None, work=tmp_path)
    assert shop.events is None
    assert shop.items is not None
    items = shop.items.collect()
    assert (items.height, items["item_id"].n_unique()) == (6_764, 6_764)
    assert items["title"].null_count() == 0
    assert [(report.file, report.table) for report in shop.files] == [
        ("judgments.json.gz", None),
        ("products.ndjson.gz", "items"),
    ]


@pytest.mark.parametrize("name", ["chinese-reviews", "support"])
def test_folders_with_neither_items_nor_events(shared_data: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError) as caught:
        read_shop(shared_data / name, mapping=None, work=tmp_path)
    assert caught.value.expected == "files with items or events"
    for path in (shared_data / name).iterdir():
        assert path.name in caught.value.found
    assert not list(tmp_path.iterdir())
