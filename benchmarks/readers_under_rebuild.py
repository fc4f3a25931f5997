"""Searches per second of readers, alone and while a rebuild encodes, builds and publishes beside them.

python benchmarks/readers_under_rebuild.py ../shared/data/amazon-office-2014/items.jsonl.gz --out /tmp/nightly

The reader is a process of its own on the live version, which it opens anew every second. A drop to no less
than the reader's share of the processor is what two busy processes on so many cores cost each other.
"""

import multiprocessing
import shutil
import time
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl
import typer

from aisle.data.catalogue import read_catalogue
from aisle.index.versions import Versions
from aisle.settings import Settings

BATCH, K = 32, 10


def main(
    catalogue: Annotated[Path, typer.Argument(help="file with items")],
    out: Annotated[Path, typer.Option("--out", help="folder for the index; emptied first")],
    seconds: Annotated[float, typer.Option("--seconds", help="for which the reader runs alone")] = 20.0,
) -> None:
    """Measure."""
    from aisle.index_jobs import rebuild_index

    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    items = read_catalogue(str(catalogue), Settings().data).items
    place, file = out / "index", out / "items.parquet"
    items.write_parquet(file)
    rebuild_index(str(place), str(file), Settings())
    alone = reading(place, lambda: time.sleep(seconds))

    renamed = items.with_columns(title=pl.concat_str(pl.lit("New: "), pl.col("title").fill_null("")))
    renamed.write_parquet(file)
    settings = Settings.model_validate({"rebuild": {"gate": {"min_overlap": 0.0}}})

    def rebuilding() -> None:
        rebuild_index(str(place), str(file), settings)
        time.sleep(3)  # until the reader has seen the new version

    beside = reading(place, rebuilding)

    print(f"{len(items):,} items; batches of {BATCH} queries, {K} results each\n")
    print("| reader | queries/s | queries / processor s | versions seen | failures |\n|---|---|---|---|---|")
    for name, found in (("alone", alone), ("beside a rebuild", beside)):
        rate, cost = found["queries"] / found["wall"], found["queries"] / found["cpu"]
        print(f"| {name} | {rate:,.0f} | {cost:,.0f} | {found['versions']} | {found['failures']} |")
    share = (beside["cpu"] / beside["wall"]) / (alone["cpu"] / alone["wall"])
    drop = (beside["queries"] / beside["wall"]) / (alone["queries"] / alone["wall"])
    print(f"\nbeside a rebuild: {share:.2f} of the processor time alone, {drop:.2f} of the queries/s")


def reading(place: Path, meanwhile: Any) -> dict[str, float]:
    """What a reader did while something else was done."""
    context = multiprocessing.get_context("spawn")
    ready, stop, answer = context.Event(), context.Event(), context.Queue()
    process = context.Process(target=read, args=(str(place), ready, stop, answer))
    process.start()
    ready.wait()
    meanwhile()
    stop.set()
    found: dict[str, float] = answer.get()
    process.join()
    return found


def read(place: str, ready: Event, stop: Event, answer: Any) -> None:
    """Search the live version until told to stop."""
    queries = np.random.default_rng(0).normal(size=(BATCH, 384)).astype(np.float32)
    versions = Versions(place)
    opened = versions.open(check="sizes")
    seen, done, failures = {opened.version}, 0, 0
    ready.set()
    wall, cpu, fresh = time.perf_counter(), time.process_time(), time.perf_counter()
    while not stop.is_set():
        try:
            if time.perf_counter() - fresh > 1:
                opened.close()
                opened = versions.open(check="sizes")
                seen.add(opened.version)
                fresh = time.perf_counter()
            _, rows = opened.stored.index.search(queries, K)
            opened.stored.ids.of(rows.ravel())
            done += BATCH
        except Exception:
            failures += 1
    answer.put(
        {
            "queries": done,
            "wall": time.perf_counter() - wall,
            "cpu": time.process_time() - cpu,
            "versions": len(seen),
            "failures": failures,
        }
    )


if __name__ == "__main__":
    typer.run(main)
