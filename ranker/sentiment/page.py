"""The shop's view of its customers, as files:

feedback.json, feedback.parquet    what was tested, and what moved
aspects.json                       what is said of each aspect in the whole shop
aspects.parquet                    the same for each item
feedback.html                      a page of the surest
"""

import json
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import polars as pl
from jinja2 import Environment, FunctionLoader

from aisle.durable import write_whole
from aisle.ranker.sentiment.settings import FeedbackSettings

SHOWN = 40
"""Rows of the page; the files hold all of them."""


def write_feedback(
    moved: pl.DataFrame,
    aspects: pl.DataFrame,
    of_items: pl.DataFrame,
    titles: dict[str, str],
    moment: datetime,
    settings: FeedbackSettings,
    folder: Path,
) -> dict[str, str]:
    """Write the files into `folder`, and return their paths by name.

    Args:
        moved: of :func:`aisle.ranker.sentiment.feedback.feedback`.
        aspects: of the whole shop, from :func:`aisle.ranker.sentiment.mentions.aspect_table`.
        of_items: the same, of each item.
        titles: of items; one without is shown by its id.
        moment: that was asked about.
        settings: of the feedback.
        folder: made if it is not there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = ("feedback.json", "feedback.parquet", "aspects.json", "aspects.parquet", "feedback.html")
    paths = {name: folder / name for name in names}
    about = {"moment": moment.isoformat(), **settings.model_dump()}
    write_whole(paths["feedback.json"], json.dumps({**about, "rows": moved.to_dicts()}, ensure_ascii=False))
    moved.write_parquet(paths["feedback.parquet"])
    of_items.write_parquet(paths["aspects.parquet"])
    write_whole(paths["aspects.json"], json.dumps(aspects.to_dicts(), ensure_ascii=False))
    write_whole(paths["feedback.html"], html(moved, aspects, titles, moment, settings))
    return {name: str(path) for name, path in paths.items()}


def html(
    moved: pl.DataFrame,
    aspects: pl.DataFrame,
    titles: dict[str, str],
    moment: datetime,
    settings: FeedbackSettings,
) -> str:
    """One page that needs nothing else: what moved, plotted and in a table, and what is said of aspects."""
    page = Environment(loader=FunctionLoader(_file), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    beyond = moved.filter("moved")
    rows = [_row(one, titles) for one in moved.head(SHOWN).iter_rows(named=True)]
    return page.get_template("feedback.html.jinja").render(
        rows=rows,
        aspects=aspects.head(SHOWN).to_dicts(),
        tested=moved.height,
        worse=beyond.filter(pl.col("change") < 0).height,
        better=beyond.filter(pl.col("change") > 0).height,
        moment=f"{moment:%Y-%m-%d}",
        settings=settings,
    )


def _row(one: dict[str, Any], titles: dict[str, str]) -> dict[str, Any]:
    """A row of the table; `left`, `right` and `at` are places in the plot, 0 to 100, 50 being no change."""
    item = one["item_id"]
    about = ": ".join(
        part for part in (titles.get(item, item) if item else "all items", one["aspect"]) if part is not None
    )

    def place(change: float) -> float:
        return 50 + 50 * max(-1.0, min(1.0, change))

    places = {"left": place(one["low"]), "right": place(one["high"]), "at": place(one["change"])}
    role = "still" if not one["moved"] else "worse" if one["change"] < 0 else "better"
    return {**one, **places, "about": about, "role": role}


def _file(name: str) -> str:
    return (files("aisle.ranker.sentiment") / name).read_text("utf-8")
