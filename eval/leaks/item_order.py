"""Item ids, or places in the catalogue, that say what is taken."""

import re
from collections.abc import Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aisle.data.ids import Rows
from aisle.eval.leaks.finding import Finding
from aisle.eval.leaks.material import Check, Material

NEAR = 3
"""Ids between two items that stand beside each other, at most."""

SHARE, TIMES = 0.15, 5
"""Share of tested items beside the user's last one, and how many times that of other users' last ones."""

STEPS, SORTED = 8, 0.98
"""Steps from one count to another along the ids, at least; and the share that goes one way, if sorted."""


def _find(material: Material) -> Iterator[Finding]:
    """Orders of the items that predict the test: sorted ids, and the catalogue as it stands."""
    ids = material.catalogue.unique(maintain_order=True)
    orders = {"Sorted ids": np.argsort(np.array(sorted(range(len(ids)), key=lambda at: _natural(ids[at]))))}
    if material.items is not None and (orders["Sorted ids"] != np.arange(len(ids))).any():
        orders["Places in the catalogue"] = np.arange(len(ids))
    for name, order in orders.items():
        yield from _next_to(material, name, order)
        yield from _by_count(material, name, order)


def _natural(item: str) -> tuple[tuple[int, str], ...]:
    """Sort key under which "i9" comes before "i10"."""
    parts = re.split(r"(\d+)", item)
    return tuple((int(part), "") if at % 2 else (0, part) for at, part in enumerate(parts))


def _next_to(material: Material, name: str, order: Rows) -> Iterator[Finding]:
    """The tested item stands beside the user's last one, far more often than beside that of anybody else."""
    last = material.past.group_by("user_id").agg(last=pl.col("item_id").sort_by("time").last())
    both = material.pairs.join(last, on="user_id", maintain_order="left").filter(
        pl.col("item_id") != pl.col("last")
    )
    wanted, before = material.places(both["item_id"]), material.places(both["last"])
    known = (wanted >= 0) & (before >= 0)
    if not known.any():
        return
    wanted, before = order[wanted[known]], order[before[known]]
    others = np.random.default_rng(0).permutation(before)
    beside = np.abs(wanted - before) <= NEAR
    share, chance = float(np.mean(beside)), float(np.mean(np.abs(wanted - others) <= NEAR))
    if share >= SHARE and share >= TIMES * chance:
        yield ITEM_ORDER.finding(
            "leak",
            f"{name} foretell what comes next: {share:.0%} of the tested items stand at most {NEAR} places "
            f"from the user's last one, and {chance:.1%} from that of another user.",
            [
                f"user {user}: {last} and then {item}"
                for user, last, item in both.filter(pl.Series(known))
                .filter(pl.Series(beside))
                .select("user_id", "last", "item_id")
                .head(5)
                .rows()
            ],
            "give the items random ids, and the catalogue a random order",
        )


def _by_count(material: Material, name: str, order: Rows) -> Iterator[Finding]:
    """The items stand sorted by their number of events, tested ones included, but not by that of the past."""
    kept = np.argsort(order)
    past, test = (
        np.bincount(places[places >= 0], minlength=len(order))[kept]
        for places in (material.places(events["item_id"]) for events in (material.past, material.test))
    )
    for what, now, before in (("all events", past + test, past), ("tested events", test, past)):
        if _sorted(now) and not _sorted(before):
            yield ITEM_ORDER.finding(
                "leak",
                f"{name} follow the number of {what} of each item, which is known after the test alone.",
                [f"items from {material.catalogue[int(kept[0])]} to {material.catalogue[int(kept[-1])]}"],
                "give the items random ids, and the catalogue a random order",
            )
            return


def _sorted(counts: NDArray[np.int64]) -> bool:
    steps = np.sign(np.diff(counts))
    steps = steps[steps != 0]
    return len(steps) >= STEPS and max(np.mean(steps > 0), np.mean(steps < 0)) >= SORTED


ITEM_ORDER = Check("item order", _find)
