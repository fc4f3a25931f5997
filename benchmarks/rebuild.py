"""A nightly rebuild after 1% of the items changed, beside a full one: seconds by step, and their ratio.

python benchmarks/rebuild.py ../shared/data/amazon-games-2018/items.jsonl.gz --out /tmp/nightly

Both run in one process whose libraries are imported, but load the language model anew, as a job does.
Seconds on the wall and on the processor are both printed: the machine may be shared.
"""

import shutil
import time
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer

from aisle.data.catalogue import read_catalogue
from aisle.index.rebuild import Rebuilt
from aisle.index_jobs import rebuild_index
from aisle.settings import Settings

SHARE = 0.01


def main(
    catalogues: Annotated[list[Path], typer.Argument(help="files with items; ids are made distinct")],
    out: Annotated[Path, typer.Option("--out", help="folder for the index; emptied first")],
    repeats: Annotated[int, typer.Option("--repeats", help="rebuilds after a change of 1%")] = 3,
) -> None:
    """Measure."""
    from aisle.retriever import additions, candidates, encoder  # noqa: F401 (imported before the clock starts)

    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    items = together(catalogues)
    full_wall, full_cpu, full = timed(items, out)
    print(f"{full.items:,} items of {', '.join(path.parent.name for path in catalogues)}\n")
    print("| job | texts encoded | wall s | of full | processor s | of full | steps, wall s |")
    print("|---|---|---|---|---|---|---|")
    report("full", full, (full_wall, full_cpu), (full_wall, full_cpu))
    for repeat in range(repeats):
        items = changed(items, repeat)
        wall, cpu, done = timed(items, out)
        report(f"1% changed, {repeat + 1}", done, (wall, cpu), (full_wall, full_cpu))
    wall, cpu, done = timed(items, out)
    report("nothing changed", done, (wall, cpu), (full_wall, full_cpu))


def together(catalogues: list[Path]) -> pl.DataFrame:
    """Items of all files; the name of the folder before each id."""
    parts = [
        read_catalogue(str(path), Settings().data).items.with_columns(
            item_id=pl.lit(f"{path.parent.name}/") + pl.col("item_id")
        )
        for path in catalogues
    ]
    return pl.concat(parts)


def changed(items: pl.DataFrame, number: int) -> pl.DataFrame:
    """Every hundredth item with another title."""
    step = round(1 / SHARE)
    here = pl.int_range(pl.len()) % step == number % step
    renamed = pl.concat_str(pl.lit(f"Edition {number + 2}: "), pl.col("title").fill_null(""))
    return items.with_columns(title=pl.when(here).then(renamed).otherwise("title"))


def timed(items: pl.DataFrame, out: Path) -> tuple[float, float, Rebuilt]:
    """Seconds on the wall and on the processor of one job, catalogue file and all."""
    catalogue = out / "items.parquet"
    items.write_parquet(catalogue)
    wall, cpu = time.perf_counter(), time.process_time()
    done = rebuild_index(str(out / "index"), str(catalogue), Settings())
    return time.perf_counter() - wall, time.process_time() - cpu, done


def report(name: str, done: Rebuilt, took: tuple[float, float], full: tuple[float, float]) -> None:
    """One row."""
    cells: list[Any] = [name, f"{done.encoded:,}"]
    for seconds, whole in zip(took, full, strict=True):
        cells += [f"{seconds:.2f}", f"{seconds / whole:.1%}"]
    cells.append(", ".join(f"{step} {seconds:.2f}" for step, seconds in done.seconds.items()))
    print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    typer.run(main)
