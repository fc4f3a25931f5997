"""Columns of train that say what comes next, on rows after which the tested event comes."""

from collections.abc import Iterator

import numpy as np
import polars as pl

from aisle.eval.leaks.columns import FEWEST, numeric
from aisle.eval.leaks.features import AGREEMENT, BEYOND_CHANCE, digits_of, moment
from aisle.eval.leaks.finding import Finding
from aisle.eval.leaks.material import Check, Material

OURS = ("user_id", "item_id", "time")


def _find(material: Material) -> Iterator[Finding]:
    """Looks at the last row of each tested user in train."""
    assert material.extras is not None
    rows = material.extras.sort("user_id", "time", maintain_order=True).with_columns(
        previous=pl.col("time").shift().over("user_id")
    )
    coming = material.test.filter("target").group_by("user_id").agg(next=pl.col("time").min())
    last = rows.unique("user_id", keep="last", maintain_order=True).join(
        coming, on="user_id", maintain_order="left"
    )
    for name in material.extras.columns:
        if name not in OURS:
            yield from _items(material, name, last)
            yield from _moments(material, name, last)


def _items(material: Material, name: str, last: pl.DataFrame) -> Iterator[Finding]:
    """The column holds items that the user takes in the test."""
    dtype = last.schema[name]
    if not (dtype.is_integer() or isinstance(dtype, pl.String | pl.Categorical | pl.Enum)):
        return
    told = last.select("user_id", taken="item_id", item_id=pl.col(name).cast(pl.String)).drop_nulls()
    told = told.filter(pl.col("item_id") != pl.col("taken"))
    if len(told) < FEWEST:
        return
    same = told.join(material.pairs, on=["user_id", "item_id"], how="semi", maintain_order="left")
    wanted = material.pairs.join(told, on="user_id", how="semi")
    constant = wanted["item_id"].value_counts()["count"].max() or 0
    share = len(same) / len(told)
    if share >= AGREEMENT and share >= constant / len(told) + BEYOND_CHANCE:  # type: ignore[operator]
        yield _finding(name, "item that the user takes next", same["user_id"].to_list(), len(told))


def _moments(material: Material, name: str, last: pl.DataFrame) -> Iterator[Finding]:
    """The column is the moment of the user's next event, or the time until then."""
    dtype = last.schema[name]
    if not material.dated or not (dtype.is_numeric() or isinstance(dtype, pl.Datetime | pl.Date)):
        return
    told = last.with_columns(number=numeric(pl.col(name), dtype)).filter(pl.col("number").is_finite())
    number = told["number"].to_numpy()
    own, before, after = (told[at].cast(pl.Float64).to_numpy() / 1e6 for at in ("time", "previous", "next"))
    digits = digits_of(number)
    for what, now, known in (
        ("moment of the user's next event", after, own),
        ("time until the user's next event", after - own, own - before),
    ):
        shown = moment(number, now, known, digits)
        if shown and not shown[0]:
            _, same, telling = shown
            users = told["user_id"].filter(pl.Series(same)).to_list()
            yield _finding(name, what, users, int(np.count_nonzero(telling)))
            return


def _finding(name: str, what: str, users: list[str], of: int) -> Finding:
    return NEXT_EVENT.finding(
        "leak",
        f"The column {name!r} of train is the {what}, the tested event included: "
        f"on the last rows of {len(users)} of {of} users where it can be seen.",
        [f"user {user}" for user in users],
        "compute it within train alone, or leave the column out",
    )


def _lacks(material: Material) -> str | None:
    if material.extras is None or set(material.extras.columns) <= set(OURS):
        return "columns of train beside those of events"
    return None if material.ordered else "dates or places of all events"


NEXT_EVENT = Check("next event", _find, _lacks)
