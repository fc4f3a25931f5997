"""Tested pairs of user and item that are known before."""

from collections.abc import Iterator

import polars as pl

from aisle.eval.leaks.finding import Finding
from aisle.eval.leaks.material import Check, Material, quoted


def _find(material: Material) -> Iterator[Finding]:
    """Pairs in train that do not come again later: a copy of train answers them.

    Where the order of events is known and the tested event is not earlier, the user took the item once more:
    that is for the mask of seen items to decide, not a leak.
    """
    found = material.known
    if material.ordered:
        found = found.filter(pl.col("time") < pl.col("known"))
    if len(found):
        yield KNOWN_PAIRS.finding(
            "leak",
            f"{len(found)} of {len(material.pairs)} tested pairs of user and item are in what models "
            "learned from.",
            quoted(found, "user {user_id}, item {item_id}"),
            "take them out of train; if users do take items again, give both tables timestamps",
        )


KNOWN_PAIRS = Check("known pairs", _find)
