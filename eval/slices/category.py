"""Pairs by the category of the item."""

from aisle.eval.slices.known import Known
from aisle.eval.slices.parts import Named, of_pairs
from aisle.eval.truth import Truth

MOST = 8
"""Categories that are named; the others are one part."""

DOMINANT = 0.9
"""A level at which one category holds more than this share of the pairs tells nothing apart."""

LEVELS = 6
"""Levels that are looked at."""


def by_category(truth: Truth, known: Known) -> Named:
    """Pairs by the item's category, at the widest level that tells them apart."""
    items = known.items("categories")
    if items is None:
        return
    paths = truth.frame.join(items, on="item_id", how="left", maintain_order="left")["categories"]
    for level in range(LEVELS):
        names = paths.list.get(level, null_on_oob=True)
        counts = names.drop_nulls().value_counts().sort(["count", names.name], descending=[True, False])
        if not len(counts):
            return
        if counts["count"][0] <= DOMINANT * len(names):
            break
    else:
        return
    named = counts[names.name].head(MOST)
    parts = {f"category: {name}": (names == name).fill_null(False).to_numpy() for name in named}
    if len(counts) > MOST:
        others = names.is_not_null() & ~names.is_in(named.implode())
        parts["category: others"] = others.fill_null(False).to_numpy()
    parts["category: unknown"] = names.is_null().to_numpy()
    yield from of_pairs(truth, parts)
