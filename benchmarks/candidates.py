"""Candidates for all users of a source: seconds and peak memory by number of users, and where the seconds go.

python benchmarks/candidates.py --out /tmp/candidates
python benchmarks/candidates.py --out /tmp/candidates --users 10000 --users 100000 --items 100000

A planted run (`planted_run.py`: a sequence tower of 64 numbers and co-occurrence, random; ten events a user)
is asked for its users, each number of them by a process of its own. Then, in one process and on one sample,
what the whole costs against encoding and searching the same users alone: medians of several, alternating.
"""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Annotated

import numpy as np
import polars as pl
import torch
import typer
from planted_run import planted_run, write_users

from aisle.data.tables import TableWriter
from aisle.data.visitors import Visitors, events_of
from aisle.recommender import PAST, Recommender
from aisle.retriever.candidates import RUN
from aisle.retriever.users import AT_ONCE
from aisle.retriever.weights import FUSED

JOB = ("--engine", "local")


def main(
    out: Annotated[Path, typer.Option("--out", help="folder for run, events and results")],
    users: Annotated[
        list[int] | None, typer.Option("--users", help="users of a job; may be repeated")
    ] = None,
    items: Annotated[int, typer.Option("--items")] = 100_000,
    k: Annotated[int, typer.Option("--k")] = 100,
    sample: Annotated[int, typer.Option("--sample", help="users whose seconds are taken apart")] = 20_000,
    repeats: Annotated[int, typer.Option("--repeats")] = 5,
) -> None:
    """Print both tables."""
    run = out / f"run-{items}"
    planted_run(run, items)
    print(f"{items:,} items, {k} candidates for each user\n")
    print("| users | s | users/s | peak memory, MiB | candidates | result, MiB |\n|---|---|---|---|---|---|")
    for number in users or [10_000, 100_000, 1_000_000]:
        print(row(out, run, number, items, k), flush=True)
    apart(out, run, sample, items, k, repeats)


def row(out: Path, run: Path, users: int, items: int, k: int) -> str:
    """One job in a process of its own."""
    events = out / f"events-{users}.parquet"
    if not events.is_file():
        write_users(events, users, items)
    result = out / f"result-{users}"
    shutil.rmtree(result, ignore_errors=True)
    command = [sys.executable, "-m", "aisle", "candidates", "--users", str(events), "--run", str(run)]
    command += ["--out", str(result), "--k", str(k), *JOB, "--json"]
    answer = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    stage, summary = answer["stages"]["batch"], answer["summary"]
    size = sum(path.stat().st_size for path in (result / "batch").rglob("*.parquet")) / 2**20
    cells = [
        f"{summary['users']:,}",
        f"{stage['seconds']:,.1f}",
        f"{summary['users'] / stage['seconds']:,.0f}",
        f"{stage['peak_memory'] / 2**20:,.0f}",
        f"{summary['rows']:,}",
        f"{size:,.0f}",
    ]
    return "| " + " | ".join(cells) + " |"


def apart(out: Path, run: Path, users: int, items: int, k: int, repeats: int) -> None:
    """Seconds of the whole against those of its two largest pieces, on the same users."""
    path = out / f"events-{users}.parquet"
    if not path.is_file():
        write_users(path, users, items)
    recommender = Recommender.open(run)
    shop = recommender.prepared
    given = events_of(pl.read_parquet(path).drop("position"), "purchase")
    visitors = Visitors(shop.folder, given, shop, None)
    asking = recommender.retriever.asking(visitors)
    blocks = [
        np.arange(start, min(start + AT_ONCE, len(visitors.user_ids)))
        for start in range(0, len(visitors.user_ids), AT_ONCE)
    ]
    seconds: dict[str, list[float]] = {"encode": [], "search": [], "candidates, written": []}
    asked = [asking.sources.ask(block, *PAST) for block in blocks]  # and what is computed once, is
    queries = [asking.sources.queries(one) for one in asked]
    towers = asking.sources.towers.values()

    def encode() -> None:
        for block in blocks:
            for tower in towers:
                asking.sources.users.vectors(tower, block, *PAST)

    def search() -> None:
        for vectors, one in zip(queries, asked, strict=True):
            asking.index.search(vectors, k, one.seen)

    def whole() -> None:
        with TableWriter(out / "sample.parquet", RUN) as table:
            for found in asking.blocks(PAST, k, alone=False):
                table.append(found[FUSED].select(RUN.names()))

    with torch.inference_mode():
        for _ in range(repeats):
            for name, work in zip(seconds, (encode, search, whole), strict=True):
                started = time.perf_counter()
                work()
                seconds[name].append(time.perf_counter() - started)
    print(f"\n{len(visitors.user_ids):,} users, medians of {repeats}\n\n| | s | users/s |\n|---|---|---|")
    for name, taken in seconds.items():
        print(f"| {name} | {median(taken):.2f} | {len(visitors.user_ids) / median(taken):,.0f} |")
    ratio = median(whole / (one + other) for one, other, whole in zip(*seconds.values(), strict=True))
    print(f"\ncandidates for all users / (encode + search alone): {ratio:.2f}")


if __name__ == "__main__":
    typer.run(main)
