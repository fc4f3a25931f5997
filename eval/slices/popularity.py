"""Head, torso and tail of the catalogue."""

import polars as pl

from aisle.eval.slices.known import Known
from aisle.eval.slices.parts import Named, of_pairs
from aisle.eval.truth import Truth

NAMES = ("popularity: head", "popularity: torso", "popularity: tail")


def by_popularity(truth: Truth, known: Known) -> Named:
    """Pairs by how popular the item was, in three parts that share the past events evenly.

    Items are taken from the most to the least frequent one: those before a third of all events are the head,
    those before two thirds the torso, the others the tail. Items of equal frequency are not told apart. Items
    without events are in none: they are new.
    """
    counts = known.items("events")
    if counts is None and known.events is not None:
        counts = known.events.drop_nulls("item_id").group_by("item_id").agg(events=pl.len())
    if counts is None or not counts["events"].sum():
        return
    sizes = counts.group_by("events").agg(total=pl.col("events").sum()).sort("events", descending=True)
    before = (sizes["total"].cum_sum() - sizes["total"]) / sizes["total"].sum()
    third = (before * len(NAMES)).floor().clip(0, len(NAMES) - 1).cast(pl.Int64)
    places = counts.join(sizes.select("events", third=third), on="events").filter(pl.col("events") > 0)
    found = truth.frame.join(places, on="item_id", how="left", maintain_order="left")["third"]
    chosen = found.fill_null(-1).to_numpy()
    yield from of_pairs(truth, {name: chosen == at for at, name in enumerate(NAMES)})
