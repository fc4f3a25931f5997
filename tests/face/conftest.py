"""A tiny shop in files, and another with a trained retriever."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from batch_jobs import job

import aisle
from aisle import pipeline

START = 1_700_000_000
DAY = 86_400
TEAS = ("green", "black", "white", "herbal")
SETTINGS = (
    "retriever.encoder.max_tokens=32",
    "retriever.encoder.precision=fp32",
    "retriever.precision=fp32",
    "retriever.dim=32",
    "retriever.batch_size=16",
    "retriever.warmup_steps=5",
    "retriever.round_steps=20",
    "retriever.max_rounds=6",
    "retriever.id_dropout=0.5",
    "candidates.k=3",
)


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


@pytest.fixture(scope="session")
def tea_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Users who buy teas of all colours, and users who buy tools of all sizes, each in the same order."""
    folder = tmp_path_factory.mktemp("recommender")
    things = [f"{colour} tea" for colour in TEAS] + [
        f"{size} hammer" for size in ("small", "big", "huge", "tiny")
    ]
    items = pl.DataFrame({"item_id": [f"i{row}" for row in range(8)], "title": things})
    events = [
        {"user_id": f"u{user:02}", "item_id": f"i{4 * (user % 2) + step}", "timestamp": 1_700_000_000 + step}
        for user in range(40)
        for step in range(4 if user < 36 else 2)
    ]
    (folder / "raw").mkdir()
    items.write_csv(folder / "raw" / "items.csv")
    pl.DataFrame(events).write_csv(folder / "raw" / "events.csv")
    settings = aisle.load_settings(None, SETTINGS)
    for stage in (
        lambda: pipeline.prepare(folder / "raw", folder / "out", settings),
        lambda: pipeline.train(folder / "out", settings),
        lambda: pipeline.index(folder / "out", settings),
        lambda: pipeline.candidates(folder / "out", settings),
    ):
        stage()
    return folder / "out"


@pytest.fixture(scope="module")
def events(tea_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the stage knows of the users of `tea_run`, as two files in a folder."""
    folder = tmp_path_factory.mktemp("events")
    for part in ("train", "validation"):
        pl.read_parquet(tea_run / "prepare" / "split" / f"{part}.parquet").write_parquet(
            folder / f"{part}.parquet"
        )
    return folder


@pytest.fixture(scope="module")
def plain(tea_run: Path, events: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a job that nothing disturbed."""
    out = tmp_path_factory.mktemp("plain")
    job(events, tea_run, out)
    return out
