"""Milliseconds of attention by the length of texts: torch's own, and as packed models compute it.

OMP_NUM_THREADS=1 python benchmarks/attention.py

One layer of a small encoder (12 heads of 32 numbers) in bf16, as many texts of a length as fill a batch. Both
take turns; the lower quartile counts.
"""

import time
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
import torch
import typer
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from aisle.retriever.engine.packed import tiled_attention

HEADS, DIM = 12, 32
LENGTHS = (8, 12, 16, 20, 24, 28, 32, 36, 40, 48, 56, 60, 64, 75, 80, 90, 100, 128, 150, 200, 250)


def main(
    tokens: Annotated[int, typer.Option(help="of a batch")] = 2048,
    rounds: Annotated[int, typer.Option(help="timings of each")] = 30,
) -> None:
    """Print the table."""
    print("| tokens of a text | torch, ms | tiled, ms | ratio |\n|---|---|---|---|")
    for length in LENGTHS:
        shape = (tokens // length, length, HEADS, DIM)
        sides = [torch.randn(shape).to(torch.bfloat16).transpose(1, 2) for _ in range(3)]

        def own(sides: Any = sides) -> Any:
            return scaled_dot_product_attention(*sides).transpose(1, 2).contiguous()

        def tiled(sides: Any = sides) -> Any:
            return tiled_attention(nn.Module(), *sides, None, is_causal=False)[0]

        theirs, ours = in_turn((own, tiled), rounds)
        print(f"| {length} | {1000 * theirs:.2f} | {1000 * ours:.2f} | {theirs / ours:.2f} |", flush=True)


def in_turn(ways: tuple[Callable[[], Any], ...], rounds: int) -> list[float]:
    """Seconds of each."""
    taken: list[list[float]] = [[] for _ in ways]
    with torch.inference_mode():
        for turn in range(rounds + 3):
            for way, found in zip(ways, taken, strict=True):
                began = time.perf_counter()
                way()
                if turn >= 3:
                    found.append(time.perf_counter() - began)
    return [float(np.quantile(found, 0.25)) for found in taken]


if __name__ == "__main__":
    typer.run(main)
