"""Recall against queries per second of every kind of index, and of the same FAISS index asked directly.

python benchmarks/search_curves.py runs/games --items 100000 --plot docs/search-1e5.svg
python benchmarks/search_curves.py amazon-games-2018/items.jsonl.gz --items 1000000 --plot docs/search-1e6.svg

Vectors are the text vectors of a run's catalogue, or of any, multiplied with jitter. Both ways are timed in
turns, in processor time, and the median counts. The last column is what aisle adds to FAISS's time.
"""

import time
from pathlib import Path
from statistics import median
from typing import Annotated

import faiss
import numpy as np
import typer
from catalogue_vectors import catalogue_vectors

from aisle.index import kinds
from aisle.index.knobs import parameters
from aisle.index.settings import IndexSettings
from aisle.index.tune import efforts

KINDS = ("exact", "ivf_flat", "ivf_sq8", "ivf_sq4", "ivf_pq", "ivf_binary", "hnsw")
RESCORE = (2, 8)
"""Of the efforts in re-scoring, those that are shown: the curves are over lists visited."""


def main(
    source: Annotated[Path, typer.Argument(help="folder of a run, or a catalogue")],
    items: Annotated[int, typer.Option()] = 100_000,
    queries: Annotated[int, typer.Option(help="in one batch")] = 200,
    k: Annotated[int, typer.Option()] = 100,
    kind: Annotated[list[str] | None, typer.Option(help="may be repeated")] = None,
    plot: Annotated[Path | None, typer.Option(help="picture to write")] = None,
) -> None:
    """Print a table and draw the curves."""
    vectors, asked = catalogue_vectors(source, items, queries)
    truth = kinds.build(vectors, IndexSettings(device="cpu")).search(asked, k)[1]
    print(f"{items:,} x {vectors.shape[1]}, {queries} queries, k = {k}, ", end="")
    print(f"{faiss.omp_get_max_threads()} threads, FAISS {faiss.__version__}\n")
    print("| kind | build s | effort | recall | aisle queries/s | FAISS queries/s | over FAISS |")
    print("|---|---|---|---|---|---|---|", flush=True)
    points: dict[str, list[tuple[float, float, float]]] = {}
    for name in kind or KINDS:
        settings = IndexSettings(device="cpu", kind=name)
        before = time.process_time()
        index = kinds.build(vectors, settings)
        build = time.process_time() - before
        for effort in efforts(index):
            changed = effort.model_dump(exclude_unset=True)
            if changed.get("rescore", RESCORE[0]) not in RESCORE:
                continue
            tuned = index.with_effort(effort)
            ours, theirs, rows = [], [], None
            for _ in range(3):
                before = time.process_time()
                _, rows = tuned.search(asked, k)
                ours.append(time.process_time() - before)
                before = time.process_time()
                index.faiss.search(asked, k, params=parameters(index.faiss, effort))
                theirs.append(time.process_time() - before)
            recall = sum(len(np.intersect1d(*pair)) for pair in zip(rows, truth, strict=True)) / truth.size
            rate, raw = queries / median(ours), queries / median(theirs)
            said = ", ".join(f"{key} {value}" for key, value in changed.items())
            rates = f"{rate:,.0f} | {raw:,.0f} | {raw / rate - 1:+.1%}"
            print(f"| {name} | {build:.0f} | {said} | {recall:.3f} | {rates} |", flush=True)
            label = f"{name}, rescore {changed['rescore']}" if "rescore" in changed else name
            points.setdefault(label, []).append((recall, rate, raw))
    if plot is not None:
        draw(points, plot, f"{items:,} vectors of {vectors.shape[1]} numbers, k = {k}")


def draw(points: dict[str, list[tuple[float, float, float]]], plot: Path, title: str) -> None:
    """Recall and queries per second of aisle (lines) and of FAISS asked directly (crosses)."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for label, curve in points.items():
        recall, ours, raw = zip(*sorted(curve), strict=True)
        (line,) = axes.plot(recall, ours, marker="o", markersize=4, label=label)
        axes.plot(recall, raw, linestyle="", marker="x", color=line.get_color())
    axes.set(yscale="log", xlabel="recall", ylabel="queries per processor second", title=title)
    axes.grid(alpha=0.3)
    axes.legend(title="o aisle, x raw FAISS")
    figure.savefig(plot, metadata={"Date": None})


if __name__ == "__main__":
    typer.run(main)
