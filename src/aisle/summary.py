"""What a stage did, in a few lines for people."""

from collections.abc import Mapping
from typing import Any

from rich.console import RenderableType

from aisle.stage import Done


def of_stage(done: Done) -> list[RenderableType]:
    """Folder and status of a stage."""
    return [f"{done.manifest.stage}: {done.outcome()} ({done.folder})"]


def of_counts(done: Done, counts: Mapping[str, Any]) -> list[RenderableType]:
    """The counts of `prepare`: in, kept, and rejected by reason; and the sizes of the parts."""
    lines = [*of_stage(done)]
    for table in ("items", "events"):
        rows = counts[table]
        lines.append(f"{table}: {rows['rows_in']:,} rows in, {rows['kept']:,} kept")
        lines += [f"  {number:>11,} rejected: {reason}" for reason, number in rows["rejected"].items()]
    for part, sizes in counts["parts"].items():
        known = f"{sizes['events']:,} events of {sizes['users']:,} users and {sizes['items']:,} items"
        new = f"{sizes['new_users']:,} and {sizes['new_items']:,} of them new"
        lines.append(f"{part}: {known}" + ("" if part == "train" else f" ({new})"))
    return lines
