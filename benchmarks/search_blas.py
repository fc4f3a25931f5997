"""Exact top-100 search for batches of queries: aisle and raw FAISS at its defaults, in turns, in one process.

python benchmarks/search_blas.py --items 1000000

Vectors are random: exact search takes as long whatever they are. Two ratios are printed, of wall and of
processor time; beside other work only the second one means much. Answers are compared, too.
"""

import time
from collections.abc import Callable
from typing import Annotated

import faiss
import numpy as np
import typer

from aisle.index.exact import ExactIndex
from aisle.index.settings import IndexSettings

K = 100
BATCHES = (16, 32, 64, 128, 256, 512, 1024)


def main(
    items: Annotated[int, typer.Option()] = 1_000_000,
    dim: Annotated[int, typer.Option()] = 384,
    rounds: Annotated[int, typer.Option(help="Searches of either kind; the best of each counts.")] = 2,
    batches: Annotated[list[int] | None, typer.Option("--batch", help="May be repeated.")] = None,
) -> None:
    """Print queries per second and ratios for every batch size."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((items, dim), np.float32)
    index = ExactIndex(vectors, IndexSettings(device="cpu"))
    del vectors
    queries = rng.standard_normal((max(batches or BATCHES), dim), np.float32)
    print(f"{items:,} x {dim}, {faiss.omp_get_max_threads()} threads, FAISS {faiss.__version__}\n")
    print(
        "| batch | FAISS queries/s | aisle | ratio | FAISS queries/processor s | aisle | ratio | same rows |"
    )
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for batch in batches or BATCHES:
        asked = queries[:batch]
        ways: tuple[Callable[[], object], ...] = (
            lambda asked=asked: index.faiss.search(asked, K),
            lambda asked=asked: index.search(asked, K),
        )
        wall = np.full((2, rounds), np.inf)
        used = np.full((2, rounds), np.inf)
        rows = []
        for round_ in range(rounds):
            for way, search in enumerate(ways):
                started, before = time.perf_counter(), time.process_time()
                found = search()
                wall[way, round_] = time.perf_counter() - started
                used[way, round_] = time.process_time() - before
                rows.append(np.sort(found[1], axis=1))
        same = np.mean(rows[0] == rows[1])
        theirs, ours = wall.min(axis=1)
        cells = [f"{batch / theirs:,.1f}", f"{batch / ours:,.1f}", f"{theirs / ours:.1f}"]
        theirs, ours = used.min(axis=1)
        cells += [f"{batch / theirs:,.1f}", f"{batch / ours:,.1f}", f"{theirs / ours:.1f}"]
        print(f"| {batch} | {' | '.join(cells)} | {same:.2%} |", flush=True)


if __name__ == "__main__":
    typer.run(main)
