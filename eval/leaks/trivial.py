"""Baselines that know nothing, and yet answer."""

from collections.abc import Iterator

import numpy as np

from aisle.data.ids import Rows
from aisle.eval.leaks.finding import Finding
from aisle.eval.leaks.material import Check, Material

LIST = 10
"""Length of the list that everybody is given."""

POPULAR = 0.5
"""Share of the tested pairs that one list of popular items should not reach."""

BLIND, TIMES = 0.1, 5
"""The same for a list that looks at ids alone; and how many times its share of the past."""

SMALLEST = 100
"""Items of a catalogue in which a list of ten says little."""


def _find(material: Material) -> Iterator[Finding]:
    """One list for all users that holds too much of what they wanted."""
    size = material.catalogue.n_unique()
    past, test = (
        np.bincount(places[places >= 0], minlength=size)
        for places in (material.places(events["item_id"]) for events in (material.past, material.pairs))
    )
    popular = np.argsort(-past, kind="stable")[:LIST]
    share = _share(test, popular)
    if share >= POPULAR:
        yield TRIVIAL.finding(
            "suspicion",
            f"The {LIST} most popular of {size} items are {share:.0%} of what all users wanted.",
            _named(material, popular, test),
            "check how tested users and items were chosen; no model can show much beyond this list",
        )
    for name, rows in (("first", np.arange(LIST)), ("last", np.arange(size - LIST, size))):
        share, before = _share(test, rows), _share(past, rows)
        if share >= BLIND and share >= TIMES * max(before, LIST / size):
            yield TRIVIAL.finding(
                "suspicion",
                f"The {name} {LIST} of {size} items in the catalogue are {share:.0%} of what users wanted, "
                f"and {before:.1%} of the past.",
                _named(material, rows, test),
                "shuffle the catalogue, and look for what put the tested items there",
            )


def _share(counts: Rows, rows: Rows) -> float:
    return float(counts[rows].sum() / max(1, counts.sum()))


def _named(material: Material, rows: Rows, test: Rows) -> list[str]:
    ids = material.catalogue.unique(maintain_order=True)
    return [f"item {ids[int(row)]}: wanted by {test[row]} users" for row in rows]


def _lacks(material: Material) -> str | None:
    return None if material.catalogue.n_unique() >= SMALLEST else f"a catalogue of {SMALLEST} items at least"


TRIVIAL = Check("trivial baselines", _find, _lacks)
