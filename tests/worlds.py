"""Planted worlds: small shops whose right recommendations are known."""

import json
from pathlib import Path

import numpy as np
import polars as pl

from aisle.data.prepared import Prepared
from aisle.data.schema import EVENTS, ITEMS

COLOURS = ("red", "green", "blue", "black", "white", "golden")
THINGS = ("lipstick", "nail polish", "shampoo", "perfume")


def circle_shop(folder: Path, users: int = 160, seed: int = 0) -> Prepared:
    """A shop where each user walks a circle of six items: what comes next is certain.

    The circle of a user is one kind of thing in six colours; its last two purchases are validation and test.
    """
    rng = np.random.default_rng(seed)
    items = [
        {"item_id": f"{thing}-{colour}", "title": f"{colour} {thing}", "categories": ["Beauty", thing]}
        for thing in THINGS
        for colour in COLOURS
    ]
    parts: dict[str, list[dict[str, object]]] = {"train": [], "validation": [], "test": []}
    for user in range(users):
        thing, start = user % len(THINGS), int(rng.integers(len(COLOURS)))
        steps = int(rng.integers(3, len(COLOURS)))
        for step in range(steps):
            colour = COLOURS[(start + step) % len(COLOURS)]
            part = "test" if step == steps - 1 else "validation" if step == steps - 2 else "train"
            parts[part].append(
                {
                    "user_id": f"u{user:04}",
                    "item_id": f"{THINGS[thing]}-{colour}",
                    "kind": "purchase",
                    "position": step,
                }
            )
    return write_prepared(folder, items, parts)


def write_prepared(
    folder: Path, items: list[dict], parts: dict[str, list[dict]], **counts: object
) -> Prepared:
    """Write a prepared shop from canonical records; purchases are what counts and what is seen."""
    (folder / "split").mkdir(parents=True)
    pl.DataFrame(items, schema=ITEMS, strict=False).write_parquet(folder / "items.parquet")
    for part, events in parts.items():
        pl.DataFrame(events, schema=EVENTS).write_parquet(folder / "split" / f"{part}.parquet")
    facts = {"target_kinds": ["purchase"], "seen_kinds": ["purchase"], "order": "position", **counts}
    (folder / "counts.json").write_text(json.dumps(facts))
    return Prepared(folder)
