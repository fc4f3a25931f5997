"""Aspects, what is said of them, and what has moved: on planted reviews."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from aisle.data.errors import InputError
from aisle.data.schema import TIMESTAMP
from aisle.ranker.sentiment.aspects import Aspect, as_toml, find_aspects, read_aspects
from aisle.ranker.sentiment.feedback import FEEDBACK, feedback
from aisle.ranker.sentiment.mentions import aspect_table, mentions
from aisle.ranker.sentiment.page import SHOWN, write_feedback
from aisle.ranker.sentiment.settings import AspectSettings, FeedbackSettings

NOW = datetime(2024, 6, 1, tzinfo=UTC)
PRICE, BATTERY = Aspect("price", ("price", "too expensive", "价格")), Aspect("battery", ("battery",))
SETTINGS = FeedbackSettings(recent_days=30, before_days=300, least_recent=5, least_before=10)


def reviews_of(rows: list[tuple[str, float, str | None, float]]) -> pl.DataFrame:
    """Of (item, days before now, text, polarity)."""
    frame = pl.DataFrame(rows, schema=["item_id", "days", "text", "polarity"], orient="row")
    times = [NOW - timedelta(days=days) for days in frame["days"]]
    return frame.select(
        "item_id",
        time=pl.Series(times, dtype=TIMESTAMP),
        text=pl.col("text").cast(pl.String),
        polarity=pl.col("polarity").cast(pl.Float64),
    )


def test_aspects_are_found_where_nouns_stand() -> None:
    texts = ["The battery is great and the batteries last"] * 6 + ["I ran quickly, my zipper broke"] * 4
    texts += ["it works quickly"] * 30 + ["屏幕很清楚", "屏幕不错啊，屏幕太小"] * 3
    found = find_aspects(texts, [PRICE], AspectSettings(found=5, least_share=0.05))
    names = [aspect.name for aspect in found]
    assert names[0] == "price"
    assert {"battery", "zipper", "屏幕"} <= set(names)
    assert not {"quickly", "works", "great"} & set(names)


def test_singular_and_plural_are_one_aspect() -> None:
    texts = ["the strap broke"] * 5 + ["the straps broke, nothing held"] * 3 + ["fine"] * 20
    (found,) = find_aspects(texts, [], AspectSettings(found=3, least_share=0.05))
    assert (found.name, found.words, found.found) == ("strap", ("strap", "straps"), True)


def test_aspects_come_back_from_their_file(tmp_path: Path) -> None:
    aspects = [PRICE, Aspect("strap", ("strap",), found=True), Aspect('17" bag', ('17"', "c:\\bag", "包"))]
    (tmp_path / "aspects.toml").write_text(as_toml(aspects), encoding="utf-8")
    assert read_aspects(tmp_path / "aspects.toml") == aspects
    assert {"price", "quality", "delivery", "size"} <= {aspect.name for aspect in read_aspects()}


@pytest.mark.parametrize("text", ["", "price = 3", "[price]\nwords = []", "[price"])
def test_a_file_without_aspects_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "aspects.toml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError):
        read_aspects(tmp_path / "aspects.toml")


def test_sentences_speak_for_and_against_an_aspect() -> None:
    reviews = reviews_of(
        [
            ("a", 1, "Good price. Battery died.", 0.9),
            ("a", 2, "Far too expensive! PRICEY it is not.", 0.1),
            ("b", 3, "价格便宜。电池", 1.0),
            ("b", 4, None, 1.0),
        ]
    )
    found = mentions(reviews, [PRICE, BATTERY])
    assert found.select("review", "aspect", "sentence").rows() == [
        (0, "price", "Good price."),
        (0, "battery", "Battery died."),
        (1, "price", "Far too expensive!"),
        (2, "price", "价格便宜。"),
    ]
    table = aspect_table(found, AspectSettings(sentences=1), by=())
    price = table.filter(pl.col("aspect") == "price").row(0, named=True)
    assert price["reviews"] == 3
    assert price["polarity"] == pytest.approx((0.9 + 0.1 + 1.0) / 3)
    assert price["negative"] == pytest.approx(1 / 3)
    assert (price["for_it"], price["against_it"]) == (["价格便宜。"], ["Far too expensive!"])
    assert aspect_table(found, AspectSettings()).filter(pl.col("item_id") == "a").height == 2


def moved_world(seed: int = 0) -> pl.DataFrame:
    """Thirty items of which one has got worse, in what is said of its battery."""
    rng = np.random.default_rng(seed)
    rows = []
    for item in range(30):
        for _ in range(120):
            days = float(rng.uniform(0.01, 200))
            pleased = rng.random() < (0.1 if item == 7 and days <= 30 else 0.8)
            text = "The battery died." if not pleased else "A good battery."
            rows.append((f"i{item}", days, text, float(pleased)))
    rows += [("i3", -1.0, "The battery of tomorrow died.", 0.0)] * 50
    return reviews_of(rows)


def test_what_moved_is_found_and_the_future_is_not_read() -> None:
    reviews = moved_world()
    table = feedback(reviews, mentions(reviews, [PRICE, BATTERY]), NOW, SETTINGS)
    assert table.schema == FEEDBACK
    moved = table.filter("moved")
    assert set(moved["item_id"].drop_nulls()) == {"i7"}
    worst = table.row(0, named=True)
    assert worst["item_id"] == "i7"
    assert worst["high"] < 0
    assert worst["sentence"] == "The battery died."
    assert (table.filter(pl.col("aspect") == "battery")["item_id"].drop_nulls() == "i7").any()


def test_chance_moves_nothing() -> None:
    """Sixty shops where nothing happens: fewer than the level report anything at all, up to chance."""
    alarms = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        rows = [
            (f"i{n % 20}", float(rng.uniform(0.1, 300)), None, float(rng.random() < 0.8)) for n in range(1600)
        ]
        reviews = reviews_of(rows)
        alarms += bool(feedback(reviews, mentions(reviews, [PRICE]), NOW, SETTINGS)["moved"].any())
    assert alarms <= 60 * 0.1 + 2 * np.sqrt(60 * 0.1 * 0.9)


def test_too_few_reviews_are_not_tested() -> None:
    reviews = reviews_of([("a", 5, None, 1.0)] * 4 + [("a", 50, None, 0.0)] * 50)
    table = feedback(reviews, mentions(reviews, [PRICE]), NOW, SETTINGS)
    assert table.is_empty()
    assert table.schema == FEEDBACK


def test_the_view_is_written(tmp_path: Path) -> None:
    reviews = moved_world()
    found = mentions(reviews, [BATTERY])
    table = feedback(reviews, found, NOW, SETTINGS)
    overall = aspect_table(found, AspectSettings(), by=())
    of_items = aspect_table(found, AspectSettings())
    paths = write_feedback(table, overall, of_items, {"i7": "Lamp <b>"}, NOW, SETTINGS, tmp_path / "out")
    assert pl.read_parquet(paths["feedback.parquet"]).equals(table)
    assert pl.read_parquet(paths["aspects.parquet"]).equals(of_items)
    rows = json.loads(Path(paths["feedback.json"]).read_text())["rows"]
    assert [row["p"] for row in rows] == pytest.approx(table["p"].to_list())
    page = Path(paths["feedback.html"]).read_text("utf-8")
    assert "Lamp &lt;b&gt;" in page
    assert "<b>" not in page
    assert page.count("<svg") == SHOWN < table.height
