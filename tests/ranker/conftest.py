"""A shop whose users buy cheap things or dear ones: the price says which, and nothing else does at first."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from aisle import load_settings, pipeline
from aisle.settings import Settings

ITEMS, USERS, STEPS = 60, 160, 7
SETTINGS = (
    "retriever.encoder.max_tokens=32",
    "retriever.encoder.precision=fp32",
    "retriever.precision=fp32",
    "retriever.dim=16",
    "retriever.batch_size=64",
    "retriever.warmup_steps=5",
    "retriever.round_steps=10",
    "retriever.max_rounds=2",
    "retriever.co_occurrence=false",
    "candidates.k=40",
    "data.split.strategy=leave_one_out",
    "ranker.enabled=true",
    "ranker.pairs.depth=40",
    "ranker.pairs.random_negatives=3",
    'ranker.pairs.missed="join"',
    "ranker.boosting.trees=40",
    "ranker.boosting.smallest_leaf=20",
    "ranker.folds=3",
    "ranker.network.batch_lists=8",
    "ranker.network.learning_rate=0.01",
    "ranker.network.dropout=0",
    "ranker.network.epochs=100",
    "ranker.network.patience=20",
    "ranker.student.enabled=true",
    'ranker.student.left_out=["text"]',
    'ranker.left_out=["next", "follows", "precedes", "together", "linear"]',
    'evaluate.baselines.names=["popularity"]',
)


@pytest.fixture(scope="session")
def settings() -> Settings:
    return load_settings(None, SETTINGS)


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory, settings: Settings) -> Path:
    """A whole run on the shop, with a ranker."""
    folder = tmp_path_factory.mktemp("prices")
    rng = np.random.default_rng(0)
    (folder / "raw").mkdir()
    pl.DataFrame(
        {
            "item_id": [f"i{item}" for item in range(ITEMS)],
            "title": [f"thing number {item}" for item in range(ITEMS)],
            "price": [
                float(rng.uniform(80, 120) if item % 2 else rng.uniform(8, 12)) for item in range(ITEMS)
            ],
        }
    ).write_csv(folder / "raw" / "items.csv")
    events = [
        {
            "user_id": f"u{user:03}",
            "item_id": f"i{item}",
            "timestamp": 1_700_000_000 + 1000 * step + user,
            "rating": float(rng.integers(1, 6)),
        }
        for user in range(USERS)
        for step, item in enumerate(2 * rng.permutation(ITEMS // 2)[:STEPS] + user % 2)
    ]
    pl.DataFrame(events).write_csv(folder / "raw" / "events.csv")
    pipeline.run(folder / "raw", folder / "out", settings)
    return folder / "out"
