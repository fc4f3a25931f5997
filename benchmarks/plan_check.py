"""Does the planner foretell a run that is ten times as large as what it measured?

python benchmarks/plan_check.py
OMP_NUM_THREADS=1 python benchmarks/plan_check.py --processor-time    # beside other jobs

Measures the machine as `aisle bench` does, foretells larger work, does that work, and prints both. Texts are
of 8 to 96 words, so that the plan for their mean length is tried, too. `--ranker runs/shop/ranker` adds
pairs.
"""

import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from aisle.index import kinds
from aisle.index.settings import IndexSettings
from aisle.planning import bench as benches
from aisle.planning import curves
from aisle.planning.bench import K, bench, lists_to_rank, texts_of, timed, vectors_of
from aisle.planning.figures import Figures
from aisle.planning.fleet import BATCH

if TYPE_CHECKING:
    from aisle.retriever.encoder import Encoder

WITHIN = 0.25
QUERY_BATCHES = 5


def main(
    times: Annotated[int, typer.Option(help="Larger than the largest measured index.")] = 10,
    texts: Annotated[
        int, typer.Option(help="To encode: about ten times what is measured; 0: none.")
    ] = 20_000,
    kind: Annotated[list[str] | None, typer.Option(help="May be repeated.")] = None,
    seconds: Annotated[float, typer.Option(help="For each figure.")] = 3.0,
    ranker: Annotated[Path | None, typer.Option(help="Folder of a trained one.")] = None,
    processor_time: Annotated[
        bool,
        typer.Option("--processor-time", help="Of all threads, not the clock's: what waits is not counted."),
    ] = False,
) -> None:
    """Print what was foretold, what came, and the ratio of both."""
    from aisle.ranker import Ranker
    from aisle.retriever.encoder import Encoder
    from aisle.retriever.settings import EncoderSettings

    if processor_time:
        benches.CLOCK = time.process_time
    encoder = Encoder.load(EncoderSettings())
    trained = None if ranker is None else Ranker.load(ranker)
    began = time.perf_counter()
    wanted = kind or ["exact", "ivf_flat", "ivf_pq", "hnsw"]
    figures = bench(encoder, IndexSettings(), kinds_measured=wanted, seconds=seconds, ranker=trained)
    print(f"measured in {time.perf_counter() - began:.0f} s on {figures.machine.processor}\n")
    print("| work | foretold s | took s | foretold / took | within 25% |\n|---|---|---|---|---|")

    if texts:
        encode_row(figures, encoder, texts)
    for name in wanted:
        index_rows(figures, name, times)
    if trained is not None and figures.pair is not None:
        lists = lists_to_rank(trained, 1000, seed=9)
        pairs = int(lists["candidates"].list.len().sum())
        row(f"rank {pairs:,} pairs", pairs * figures.pair, timed(trained.rank_many, lists))


def encode_row(figures: Figures, encoder: "Encoder", texts: int) -> None:
    """Texts of many lengths, foretold by their mean."""
    rng = np.random.default_rng(1)
    mixed = [text for words in range(8, 97, 8) for text in texts_of(words, texts // 12 + 1, rng)]
    rng.shuffle(mixed)
    mixed = mixed[:texts]
    tokens = np.mean([encoder.count_tokens(text) for text in mixed[:500]]) + encoder.special_tokens
    of_text = curves.seconds_of_text(figures.language_model.texts)
    row(
        f"encode {len(mixed):,} texts of {tokens:.0f} tokens",
        len(mixed) * of_text(tokens),
        timed(encoder.encode, mixed),
    )


def index_rows(figures: Figures, kind: str, times: int) -> None:
    """Build and search of one kind."""
    measured = figures.index(kind)
    items = int(times * measured.builds[-1].size)
    vectors = vectors_of(items, measured.dim, seed=2)
    settings = IndexSettings(kind=kind)
    began = benches.CLOCK()
    index = kinds.build(vectors, settings)
    took = benches.CLOCK() - began
    row(f"build {kind}, {items:,} x {measured.dim}", curves.seconds_of_build(measured)(items), took)
    del vectors
    queries = vectors_of(BATCH, measured.dim, seed=3)
    index.search(queries, K)
    took = median(timed(index.search, queries, K) for _ in range(QUERY_BATCHES))
    row(f"{BATCH:,} queries of {kind}", curves.seconds_of_query(measured)(items) * BATCH, took)


def row(work: str, foretold: float, took: float) -> None:
    """One line of the table."""
    ratio = foretold / took
    verdict = "yes" if 1 - WITHIN <= ratio <= 1 + WITHIN else "no"
    print(f"| {work} | {foretold:,.2f} | {took:,.2f} | {ratio:.2f} | {verdict} |", flush=True)


if __name__ == "__main__":
    typer.run(main)
