"""Exact ranking of a whole catalogue for many users: seconds and memory, beside the products alone.

    python benchmarks/rank_everything.py --items 1000000 --users 100000

Prints Markdown: for a hundredth, a tenth and all of the users, seconds of the 100 best unseen items of each,
those of the products of the vectors alone in the same blocks (on a hundredth), and the peak memory besides
the vectors. Each row is made in a process of its own.
"""

import json
import subprocess
import sys
import time
from typing import Annotated

import numpy as np
import typer

from aisle.eval.ranking import ITEMS_AT_ONCE, USERS_AT_ONCE, inner_products, rank_all
from aisle.memory import peak, reset_peak

DIM, K, SEEN = 128, 100, 20


class Histories:
    """What users have seen: `SEEN` random items each."""

    def __init__(self, users: int, items: int) -> None:
        self.offsets = np.arange(0, SEEN * users + 1, SEEN)
        self.items = np.random.default_rng(1).integers(items, size=SEEN * users)


def main(
    items: int = 1_000_000,
    users: int = 100_000,
    alone: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    """Measure and print."""
    if alone:
        print(json.dumps(measure(items, users)))
        return
    print(f"{items:,} items, vectors of {DIM} numbers, {K} best, {SEEN} seen items a user\n")
    print(
        "| users | seconds | x the products alone | users/s | MiB beside the vectors |\n|---|---|---|---|---|"
    )
    products = 0.0
    for share in (100, 10, 1):
        command = [sys.executable, __file__, "--items", str(items), "--users", str(users // share), "--alone"]
        found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        products = found["products"] or products
        count, seconds = users // share, found["seconds"]
        ratio = seconds / count / products
        print(
            f"| {count:,} | {seconds:.0f} | {ratio:.2f} | {count / seconds:.0f} | {found['MiB']:.0f} |",
            flush=True,
        )


def measure(items: int, users: int) -> dict[str, float]:
    """Seconds of the ranking; of the products, a user; MiB beside the vectors."""
    generator = np.random.default_rng(0)
    vectors = generator.standard_normal((items, DIM), np.float32)
    queries = generator.standard_normal((users, DIM), np.float32)
    histories = Histories(users, items)
    score = inner_products(queries, vectors)
    before = resident()
    reset_peak()
    start = time.perf_counter()
    found = sum(len(ranked.scores) for ranked in rank_all(score, np.arange(users), items, K, seen=histories))
    seconds = time.perf_counter() - start
    if found != users * K:
        raise AssertionError(f"{found} places instead of {users * K}")
    more = (peak() - before) / 2**20
    start = time.perf_counter()
    some = min(users, USERS_AT_ONCE)
    for first in range(0, items, ITEMS_AT_ONCE):
        score(np.arange(some), first, min(first + ITEMS_AT_ONCE, items))
    return {"seconds": seconds, "products": (time.perf_counter() - start) / some, "MiB": more}


def resident() -> int:
    """Memory that is resident now, bytes."""
    reset_peak()
    return peak()


if __name__ == "__main__":
    typer.run(main)
