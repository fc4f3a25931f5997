"""Bytes an item, time to build, write and open every kind of index, and memory that reading it takes.

python benchmarks/index_memory.py runs/games --items 100000

Each index is opened and searched (200 queries, one by one) in a process of its own, mapped and read whole.
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import numpy as np
import typer
from catalogue_vectors import catalogue_vectors

from aisle.index import kinds
from aisle.index.settings import IndexSettings, Storage

CASES: tuple[tuple[str, Storage], ...] = (
    ("exact", "float32"),
    ("exact", "fp16"),
    ("exact", "int8"),
    ("ivf_flat", "float32"),
    ("ivf_flat", "int8"),
    ("ivf_sq8", "float32"),
    ("ivf_pq", "float32"),
    ("ivf_pq", "fp16"),
    ("hnsw", "float32"),
    ("hnsw", "fp16"),
)


def main(
    source: Annotated[Path, typer.Argument(help="folder of a run, or a catalogue")],
    items: Annotated[int, typer.Option()] = 100_000,
    opened: Annotated[Path | None, typer.Option(hidden=True)] = None,
    whole: Annotated[bool, typer.Option("--whole", hidden=True)] = False,
) -> None:
    """Print a row for every kind and storage."""
    if opened is not None:
        print(json.dumps(opening(opened, mmap=not whole)))
        return
    vectors, queries = catalogue_vectors(source, items, 200)
    print(f"{items:,} x {vectors.shape[1]}\n")
    print("| kind | storage | bytes/item | build s | write s | open ms | MiB | open whole ms | MiB |")
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    for kind, storage in CASES:
        with TemporaryDirectory() as folder:
            before = time.process_time()
            index = kinds.build(vectors, IndexSettings(device="cpu", kind=kind, storage=storage))
            built, before = time.process_time() - before, time.perf_counter()
            kinds.write(index, Path(folder))
            written = time.perf_counter() - before
            size = (Path(folder) / "index.faiss").stat().st_size / items
            np.save(Path(folder) / "queries.npy", queries)
            del index
            cells = [f"{size:,.0f}", f"{built:.1f}", f"{written:.2f}"]
            for options in ([], ["--whole"]):
                command = [sys.executable, __file__, str(run), "--opened", folder, *options]
                told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
                cells += [
                    f"{told['seconds'] * 1e3:.1f}",
                    f"{told['opened']:.0f}, then {told['searched']:.0f}",
                ]
            print(f"| {kind} | {storage} | {' | '.join(cells)} |", flush=True)


def opening(folder: Path, *, mmap: bool) -> dict[str, float]:
    """Seconds to open an index, and MiB that came into memory by opening and by searching it."""
    queries, before = np.load(folder / "queries.npy"), resident()
    started = time.perf_counter()
    index = kinds.read(folder, IndexSettings(device="cpu"), mmap)
    seconds, opened = time.perf_counter() - started, resident() - before
    for query in queries:
        index.search(query[None], 100)
    return {"seconds": seconds, "opened": opened, "searched": resident() - before}


def resident() -> float:
    """Memory of this process, mapped files included, MiB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20


if __name__ == "__main__":
    typer.run(main)
