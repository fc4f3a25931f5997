"""A tiny shop in files, for the tests of the command line."""

from collections.abc import Callable
from pathlib import Path

import pytest

START = 1_700_000_000
DAY = 86_400


@pytest.fixture(scope="session")
def write_tiny_shop() -> Callable[[Path], Path]:
    """Writes `shop/items.csv` (12 items) and `shop/events.csv` (20 users, 6 purchases each, one a day)."""

    def write(parent: Path) -> Path:
        folder = parent / "shop"
        folder.mkdir()
        colours = ("red", "blue", "green")
        items = [
            f"i{item},{colours[item % 3]} chair {item},A {colours[item % 3]} chair for the garden"
            for item in range(12)
        ]
        events = [
            f"u{user:02},i{(user + 5 * step) % 12},purchase,{START + DAY * step + user}"
            for step in range(6)
            for user in range(20)
        ]
        (folder / "items.csv").write_text("\n".join(["item_id,title,description", *items]) + "\n")
        (folder / "events.csv").write_text("\n".join(["user_id,item_id,kind,timestamp", *events]) + "\n")
        return folder

    return write


@pytest.fixture
def tiny_shop(tmp_path: Path, write_tiny_shop: Callable[[Path], Path]) -> Path:
    """A tiny shop of the test's own, to be spoilt."""
    return write_tiny_shop(tmp_path)
