"""What reviews say of aspects, sentence by sentence, and what that comes to for items and the shop."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from aisle.data.schema import TIMESTAMP
from aisle.ranker.sentiment.aspects import Aspect, sentences
from aisle.ranker.sentiment.reviews import NEGATIVE_BELOW
from aisle.ranker.sentiment.settings import AspectSettings

if TYPE_CHECKING:
    from aisle.ranker.sentiment.classifier import SentimentClassifier

MENTIONS = pl.Schema(
    {
        "review": pl.Int64(),
        "item_id": pl.String(),
        "time": TIMESTAMP,
        "aspect": pl.String(),
        "sentence": pl.String(),
        "polarity": pl.Float64(),
    }
)


READABLE = 12, 200
"""Characters of sentences that are quoted before shorter and longer ones."""


def mentions(
    reviews: pl.DataFrame, aspects: Sequence[Aspect], classifier: "SentimentClassifier | None" = None
) -> pl.DataFrame:
    """Every sentence that names an aspect, once for each aspect that it names.

    Args:
        reviews: :mod:`aisle.ranker.sentiment.reviews`.
        aspects: that are looked for.
        classifier: says how pleased a sentence is; without one it is as pleased as its review.

    Returns:
        review (row), item_id, time, aspect, sentence, polarity (`MENTIONS`), in the order of the reviews.
    """
    rows: list[tuple[int, str | None, object, str, str, float | None]] = []
    columns = reviews.select("item_id", "time", "text", "polarity")
    for row, (item, time, text, polarity) in enumerate(columns.iter_rows()):
        for sentence in sentences(text or ""):
            lower = sentence.lower()
            rows += [
                (row, item, time, aspect.name, sentence, polarity)
                for aspect in aspects
                if aspect.pattern.search(lower)
            ]
    table = pl.DataFrame(rows, schema=MENTIONS, orient="row")
    if classifier is None or table.is_empty():
        return table
    return table.with_columns(polarity=pl.Series(classifier.polarity(table["sentence"].to_list())))


def aspect_table(
    found: pl.DataFrame, settings: AspectSettings, by: Sequence[str] = ("item_id",)
) -> pl.DataFrame:
    """What is said of each aspect: of each item, or, with `by=()`, in the whole shop.

    A review counts once for an aspect, with the mean of its sentences.

    Returns:
        by, aspect; reviews Int64; polarity (mean), negative (share), Float64; for_it and against_it,
        List[String]: the sentences that say it most clearly. Most reviews first.
    """
    told = found.drop_nulls(["polarity", *by])
    keys = [*by, "aspect"]
    once = told.group_by([*keys, "review"]).agg(pl.mean("polarity"))
    figures = once.group_by(keys).agg(
        reviews=pl.len().cast(pl.Int64),
        polarity=pl.mean("polarity"),
        negative=(pl.col("polarity") < NEGATIVE_BELOW).mean(),
    )
    length = pl.col("sentence").str.len_chars()
    clear = told.with_columns(length=length).sort(~length.is_between(*READABLE), "length", "review")
    for name, order, side in (
        ("for_it", -pl.col("polarity"), pl.col("polarity") > NEGATIVE_BELOW),
        ("against_it", pl.col("polarity"), pl.col("polarity") < NEGATIVE_BELOW),
    ):
        said = (
            clear.filter(side)
            .sort(order, maintain_order=True)
            .unique([*keys, "sentence"], maintain_order=True)
        )
        quoted = said.group_by(keys).agg(pl.col("sentence").head(settings.sentences).alias(name))
        figures = figures.join(quoted, on=keys, how="left")
    empty = [pl.col(name).fill_null(pl.lit([], pl.List(pl.String))) for name in ("for_it", "against_it")]
    return figures.with_columns(empty).sort(["reviews", *keys], descending=[True, *([False] * len(keys))])


def clearest(found: pl.DataFrame, *, pleased: bool) -> str | None:
    """The sentence whose writer is most clearly pleased, or most clearly not; None where nobody is."""
    told = found.drop_nulls("polarity")
    if told.is_empty():
        return None
    values = told["polarity"].to_numpy()
    place = int(np.argmax(values) if pleased else np.argmin(values))
    right = values[place] > NEGATIVE_BELOW if pleased else values[place] < NEGATIVE_BELOW
    return str(told["sentence"][place]) if right else None
