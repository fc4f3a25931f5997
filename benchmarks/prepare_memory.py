"""Memory and time of the prepare job on a generated shop.

    python benchmarks/prepare_memory.py 10_000_000

The shop is generated first, in a process of its own, and kept in `--folder` for the next time.
"""

import argparse
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path

EVENTS_PER_USER = 30
EVENTS_PER_ITEM = 100


def generate(folder: Path, events: int) -> None:
    """Writes a shop with about `events` events."""
    from aisle.data.shop import generate_shop

    generate_shop(
        folder,
        users=events // EVENTS_PER_USER,
        items=max(events // EVENTS_PER_ITEM, 100),
        events_per_user=EVENTS_PER_USER,
    )


def measure(folder: Path, out: Path) -> None:
    """Prepares the shop and prints what it took."""
    from aisle.data.prepare import prepare
    from aisle.data.settings import DataSettings

    began = time.monotonic()
    counts = prepare(folder / "raw", out, DataSettings())
    seconds = time.monotonic() - began
    print(f"events     {counts.events.rows_in:>12,}")
    print(f"  rejected {counts.events.rows_in - counts.events.kept:>12,}")
    print(f"users      {counts.users:>12,}")
    print(f"items      {counts.catalogue:>12,}")
    print(f"seconds    {seconds:>12,.1f}")
    print(f"rows/s     {(counts.events.rows_in + counts.items.rows_in) / seconds:>12,.0f}")
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(f"cpu s      {used.ru_utime + used.ru_stime:>12,.1f}")
    print(f"peak GiB   {used.ru_maxrss / 2**20:>12.2f}")


def run(target: object, *arguments: object) -> None:
    """Calls `target` in a fresh process, so that its peak of memory is its own."""
    process = multiprocessing.get_context("spawn").Process(target=target, args=arguments)  # type: ignore[arg-type]
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(process.exitcode)


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("events", type=int, help="how many events, about")
    parser.add_argument(
        "--folder", type=Path, default=Path("runs/benchmark-shops"), help="where shops are kept"
    )
    chosen = parser.parse_args()
    shop = chosen.folder / str(chosen.events)
    run(generate, shop, chosen.events)
    with tempfile.TemporaryDirectory(dir=chosen.folder) as out:
        run(measure, shop, Path(out) / "prepare")


if __name__ == "__main__":
    main()
