"""Exact top-100 search with and without screening by bytes, by items, dimension and batch: where it pays.

python benchmarks/search_screen.py --items 100000 --items 200000 --items 300000 --items 1000000

Vectors are drawn around 1,000 centres. Both ways take turns; the shortest of several rounds counts.
"""

import time
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from aisle.index import screen
from aisle.index.exact import ExactIndex
from aisle.index.settings import IndexSettings

K = 100
ITEMS, DIMS, BATCHES = (100_000, 200_000, 300_000, 1_000_000), (64, 128, 256, 384), (32, 256, 1024)


def main(
    items: Annotated[list[int] | None, typer.Option(help="may be repeated")] = None,
    dims: Annotated[list[int] | None, typer.Option("--dim", help="may be repeated")] = None,
    rounds: Annotated[int, typer.Option(help="searches of either kind")] = 4,
) -> None:
    """Print how many times as fast the screened search is, for every size."""
    screen.fewest_vectors = lambda _: 0  # it is asked where it would not be used, too
    batches = " | ".join(f"batch of {batch}" for batch in BATCHES)
    print(f"| items | dim | million numbers | {batches} |\n|---|---|---|{'---|' * len(BATCHES)}", flush=True)
    for count in items or ITEMS:
        for dim in dims or DIMS:
            rng = np.random.default_rng(0)
            centres = rng.standard_normal((1_000, dim), np.float32)
            ratios = compared(around(centres, count, rng), around(centres, max(BATCHES), rng), rounds)
            cells = " | ".join(f"{ratio:.2f}" for ratio in ratios)
            print(f"| {count:,} | {dim} | {count * dim / 1e6:.0f} | {cells} |", flush=True)


def around(centres: NDArray[np.float32], count: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Unit vectors near centres, float32 (count, dim)."""
    drawn = rng.standard_normal((count, centres.shape[1]), np.float32)
    drawn += centres[rng.integers(len(centres), size=count)]
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    return drawn


def compared(vectors: NDArray[np.float32], queries: NDArray[np.float32], rounds: int) -> list[float]:
    """Seconds of the plain search over those of the screened one, for each batch."""
    plain = ExactIndex(vectors, IndexSettings(device="cpu", screen=False))
    screened = ExactIndex(vectors, IndexSettings(device="cpu"))
    found = []
    for batch in BATCHES:
        taken: dict[ExactIndex, float] = {plain: np.inf, screened: np.inf}
        for _ in range(rounds):
            for index in taken:
                started = time.perf_counter()
                index.search(queries[:batch], K)
                taken[index] = min(taken[index], time.perf_counter() - started)
        found.append(taken[plain] / taken[screened])
    return found


if __name__ == "__main__":
    typer.run(main)
