"""A nightly index of a trained model, of a catalogue that is not quite the one it was trained on."""

from pathlib import Path

import polars as pl

from aisle import load_settings
from aisle.index.versions import Versions
from aisle.index_jobs import rebuild_index


def teas(run: Path, *more: str) -> pl.DataFrame:
    found = pl.read_parquet(run / "prepare" / "items.parquet").select("item_id", "title")
    return pl.concat([found, pl.DataFrame({"item_id": [f"n{n}" for n in range(len(more))], "title": more})])


def of_run(run: Path, items: pl.DataFrame, place: Path) -> Versions:
    items.write_parquet(place / "items.parquet")
    settings = load_settings(None, ["rebuild.gate.max_count_drift=1", "rebuild.gate.min_overlap=0"])
    rebuild_index(str(place / "index"), str(place / "items.parquet"), settings, run=run)
    return Versions(place / "index")
