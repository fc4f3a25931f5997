"""Seconds of the same job on Ray and in this process, with the same number of workers on the same cores.

python benchmarks/ray_overhead.py --out /tmp/candidates --users 100000

A planted run (`planted_run.py`) is asked for its users: by one process with all cores, and by one actor with
all cores, alternating; medians of several. What it takes to start the cluster is told apart: a night has it
once.
"""

import shutil
import time
from pathlib import Path
from statistics import median
from typing import Annotated

import polars as pl
import torch
import typer
from planted_run import planted_run, write_users

from aisle import load_settings
from aisle.batch.job import Engine, Request, candidates_for_users
from aisle.batch.local import local_engine
from aisle.batch.on_ray import RayEngine, cluster


def main(
    out: Annotated[Path, typer.Option("--out", help="folder for run, events and results")],
    users: Annotated[int, typer.Option("--users")] = 100_000,
    items: Annotated[int, typer.Option("--items")] = 100_000,
    k: Annotated[int, typer.Option("--k")] = 100,
    repeats: Annotated[int, typer.Option("--repeats")] = 3,
) -> None:
    """Print the table."""
    run, events = out / f"run-{items}", out / f"events-{users}.parquet"
    planted_run(run, items)
    if not events.is_file():
        write_users(events, users, items)
    settings = load_settings(None, [f"candidates.k={k}", "candidates.part_events=100000"])
    cores = torch.get_num_threads()
    engines: dict[str, Engine] = {"local": local_engine, "ray": RayEngine(workers=1, cores=cores)}
    seconds: dict[str, list[float]] = {name: [] for name in engines}
    results: dict[str, pl.DataFrame] = {}
    for _ in range(repeats):
        for name, engine in engines.items():
            result = out / f"overhead-{name}"
            shutil.rmtree(result, ignore_errors=True)
            started = time.perf_counter()
            done, _ = candidates_for_users(Request(str(events), run, result), settings, engine)
            seconds[name].append(time.perf_counter() - started)
            results[name] = pl.read_parquet(done.folder / "candidates" / "*.parquet")
    start = seconds_to_start(cores)
    print(f"{users:,} users, {items:,} items, {cores} cores, medians of {repeats}\n")
    print("| engine | s | users/s |\n|---|---|---|")
    for name, taken in seconds.items():
        print(f"| {name} | {median(taken):.1f} | {users / median(taken):,.0f} |")
    local, ray = median(seconds["local"]), median(seconds["ray"])
    print(f"\nray / local: {ray / local:.2f}; the cluster takes {start:.1f} s to start and to end")
    print(f"without that: {(ray - start) / local:.2f}")
    same = results["local"].equals(results["ray"])
    print(f"the rows are {'the same' if same else 'NOT the same'}")


def seconds_to_start(cores: int) -> float:
    """Seconds until a cluster of this machine has begun and ended."""
    started = time.perf_counter()
    with cluster(None, cores):
        pass
    return time.perf_counter() - started


if __name__ == "__main__":
    typer.run(main)
