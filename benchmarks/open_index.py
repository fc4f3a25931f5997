"""Milliseconds to open a version of ten million items, every byte checked and not; memory that it takes.

python benchmarks/open_index.py --out /tmp/ten-million

Vectors of 8 numbers: what is timed is mapping, not arithmetic. Each opening is a process of its own.
"""

import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import polars as pl
import typer

from aisle.index import store
from aisle.index.kinds import build
from aisle.index.settings import IndexSettings

CPU = IndexSettings(device="cpu")

OPEN = """
import sys, time
from pathlib import Path
import numpy as np, psutil
from aisle.index.store import open_folder
folder = Path(sys.argv[1])
before = psutil.Process().memory_full_info().uss
started = time.perf_counter()
stored = open_folder(folder, check=sys.argv[2])
opened = time.perf_counter()
last = stored.ids.of(np.array([len(stored.ids) - 1]))
row = stored.vectors[-1]
used = time.perf_counter()
own = psutil.Process().memory_full_info().uss - before
print(f"{1000 * (opened - started):.1f} | {1000 * (used - opened):.1f} | {own / 2**20:.1f}")
"""


def main(
    out: Annotated[Path, typer.Option("--out", help="folder for the index; emptied first")],
    items: Annotated[int, typer.Option("--items")] = 10_000_000,
    repeats: Annotated[int, typer.Option("--repeats")] = 3,
) -> None:
    """Write the version, then open it."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    vectors = np.random.default_rng(0).normal(size=(items, 8)).astype(np.float32)
    ids = pl.select(pl.format("item-{}", pl.int_range(items))).to_series()
    started = time.perf_counter()
    store.save(build(vectors, CPU), ids, out, model="none", settings=CPU, vectors=vectors)
    size = sum(path.stat().st_size for path in out.iterdir()) / 2**20
    print(f"{items:,} items, {size:,.0f} MiB, written in {time.perf_counter() - started:.1f} s\n")
    print("| check | open, ms | first id and vector, ms | memory of its own, MiB |\n|---|---|---|---|")
    for check in ("sizes", "all"):
        for _ in range(repeats):
            command = [sys.executable, "-c", OPEN, str(out), check]
            said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
            print(f"| {check} | {said} |")


if __name__ == "__main__":
    typer.run(main)
