"""Nightly jobs for tests."""

from pathlib import Path

import polars as pl

import aisle
from aisle.batch.job import Request, candidates_for_users
from aisle.batch.local import local_engine
from aisle.batch.summary import Summary
from aisle.settings import Settings
from aisle.stage import Done

K = 3
USERS = 40


def settings_for(part_events: int = 30, k: int = K) -> Settings:
    return aisle.load_settings(None, [f"candidates.k={k}", f"candidates.part_events={part_events}"])


def job(users: Path | str, run: Path, out: Path, **more: object) -> tuple[Done, Summary]:
    settings = more.pop("settings", None) or settings_for()
    engine = more.pop("engine", local_engine)
    request = Request(str(users), run, out, **more)
    return candidates_for_users(request, settings, engine)


def found(out: Path) -> pl.DataFrame:
    return pl.read_parquet(out / "batch" / "candidates" / "*.parquet").sort("user_id", "rank")
