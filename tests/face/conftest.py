"""A tiny shop in files, for the tests of the command line."""

from pathlib import Path

import pytest

START = 1_700_000_000
DAY = 86_400


@pytest.fixture
def tiny_shop(tmp_path: Path) -> Path:
    """Folder with `items.csv` (12 items) and `events.csv` (20 users with 6 purchases each, one a day)."""
    folder = tmp_path / "shop"
    folder.mkdir()
    colours = ("red", "blue", "green")
    items = [
        f"i{item},{colours[item % 3]} chair {item},A {colours[item % 3]} chair for the garden"
        for item in range(12)
    ]
    events = [
        f"u{user:02},i{(user + 3 * step) % 12},purchase,{START + DAY * step + user}"
        for step in range(6)
        for user in range(20)
    ]
    (folder / "items.csv").write_text("\n".join(["item_id,title,description", *items]) + "\n")
    (folder / "events.csv").write_text("\n".join(["user_id,item_id,kind,timestamp", *events]) + "\n")
    return folder
