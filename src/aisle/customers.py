"""The shop's feedback view for the report: what buyers say, and what of it has moved."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from aisle.data.prepared import Prepared
from aisle.eval.report.context import Aspect, Customers, MovedOpinion, ShownItem
from aisle.ranker.sentiment.settings import SentimentSettings

SHOWN = 40
"""Rows of the report; the files hold all of them."""


def customers(prepared: Prepared, settings: SentimentSettings, folder: Path) -> Customers | None:
    """What has moved until the shop's last review; the whole of it is written into `folder`.

    Reviews of all parts are read: this is about the shop, and no model learns from it.

    Returns:
        None where no review has stars and a time.
    """
    from aisle.ranker.sentiment.aspects import find_aspects, read_aspects
    from aisle.ranker.sentiment.feedback import feedback
    from aisle.ranker.sentiment.mentions import aspect_table, mentions
    from aisle.ranker.sentiment.page import write_feedback
    from aisle.ranker.sentiment.reviews import shop_reviews

    reviews = shop_reviews(prepared).drop_nulls(["time", "polarity"])
    last = reviews["time"].max()
    if not isinstance(last, datetime):
        return None
    moment = last + timedelta(microseconds=1)
    aspects = find_aspects(reviews["text"].drop_nulls().to_list(), read_aspects(None), settings.aspects)
    found = mentions(reviews, aspects)
    moved = feedback(reviews, found, moment, settings.feedback)
    overall, of_items = aspect_table(found, settings.aspects, by=()), aspect_table(found, settings.aspects)
    titles = dict(prepared.items.select("item_id", "title").drop_nulls().iter_rows())
    write_feedback(moved, overall, of_items, titles, moment, settings.feedback, folder)
    beyond = moved.filter("moved")
    worse = beyond.filter(pl.col("change") < 0).height
    return Customers(
        moment=f"{last:%Y-%m-%d}",
        **settings.feedback.model_dump(include={"recent_days", "before_days", "false_discoveries"}),
        tested=moved.height,
        worse=worse,
        better=beyond.height - worse,
        moved=[_moved(row, titles) for row in moved.head(SHOWN).iter_rows(named=True)],
        aspects=[_aspect(row) for row in overall.head(SHOWN).iter_rows(named=True)],
    )


def _moved(row: Mapping[str, object], titles: Mapping[str, str]) -> MovedOpinion:
    item = row["item_id"]
    shown = None if item is None else ShownItem(item_id=str(item), title=titles.get(str(item), str(item)))
    rest = {name: value for name, value in row.items() if name not in ("item_id", "p")}
    return MovedOpinion.model_validate({"item": shown, **rest})


def _aspect(row: Mapping[str, object]) -> Aspect:
    quoted = {name: next(iter(row[name] or ()), None) for name in ("for_it", "against_it")}  # type: ignore[call-overload]
    return Aspect.model_validate({**row, **quoted})
