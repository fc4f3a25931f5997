"""Runs in a folder, each with what it was made with."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import JsonValue

from aisle.durable import write_whole

OURS = "fused"
"""The run of the candidates."""


class Runs(Mapping[str, pl.DataFrame]):
    """Runs in a folder by model, each whole or not there; ours first, then the others by name.

    A run is read when it is asked for and not kept.

    Args:
        folder: made if need be.
        users: the users of the truth, a column user_id; runs are kept for them alone.
    """

    def __init__(self, folder: Path, users: pl.DataFrame) -> None:
        self.folder = folder
        self._users = users
        folder.mkdir(parents=True, exist_ok=True)

    def __getitem__(self, name: str) -> pl.DataFrame:
        return pl.read_parquet(self.folder / f"{name}.parquet")

    def __iter__(self) -> Iterator[str]:
        names = (path.stem for path in self.folder.glob("*.json"))
        return iter(sorted(names, key=lambda name: (name != OURS, name)))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __contains__(self, name: object) -> bool:
        return name in list(iter(self))

    def make(
        self, name: str, run: Callable[[], pl.DataFrame], settings: Mapping[str, object] | None = None
    ) -> None:
        """Keep what `run` returns and the settings it was made with, unless a run of that name is there."""
        if name not in self:
            started = time.monotonic()
            found = run()
            self.keep(name, found, settings or {}, time.monotonic() - started)

    def keep(self, name: str, run: pl.DataFrame, settings: Mapping[str, object], seconds: float) -> None:
        """Write a run, then the settings that it was made with: the mark that it is whole."""
        kept = run.join(self._users, on="user_id", how="semi", maintain_order="left")
        kept.write_parquet(self.folder / f"{name}.parquet")
        about = {"settings": dict(settings), "seconds": round(seconds, 3)}
        write_whole(self.folder / f"{name}.json", json.dumps(about, indent=1) + "\n")

    def seconds(self) -> dict[str, float]:
        """Seconds that each model's run took."""
        return {name: self._about(name)["seconds"] for name in self if name != OURS}

    def settings(self) -> dict[str, JsonValue]:
        """Settings that each model's run was made with, where it chose any."""
        chosen = {name: self._about(name)["settings"] for name in self}
        return {name: settings for name, settings in chosen.items() if settings}

    def _about(self, name: str) -> dict[str, Any]:
        return dict(json.loads((self.folder / f"{name}.json").read_text()))
