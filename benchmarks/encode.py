"""Items per second of the encoder in float32 and bfloat16, and how far the vectors are apart.

python benchmarks/encode.py runs/beauty/prepare/items.parquet
"""

import time
from pathlib import Path
from typing import Annotated

import numpy as np
import polars as pl
import typer

from aisle.data.settings import TextSettings
from aisle.data.text import render_items

MOST = 3_000


def main(items: Annotated[Path, typer.Argument(help="items.parquet of a prepared shop")]) -> None:
    """Encode the first items both ways."""
    from aisle.retriever.encoder import Encoder
    from aisle.retriever.settings import EncoderSettings

    texts = render_items(pl.read_parquet(items).head(MOST), TextSettings())
    print(f"{len(texts)} texts of {items}\n\n| precision | items/s | mean cosine to fp32 |\n|---|---|---|")
    vectors = {}
    for precision in ("fp32", "bf16"):
        encoder = Encoder.load(EncoderSettings(precision=precision))
        encoder.encode(texts[:100])
        started = time.perf_counter()
        vectors[precision] = encoder.encode(texts)
        rate = len(texts) / (time.perf_counter() - started)
        cosine = float(np.mean((vectors[precision] * vectors["fp32"]).sum(1)))
        print(f"| {precision} | {rate:,.0f} | {cosine:.5f} |")


if __name__ == "__main__":
    typer.run(main)
