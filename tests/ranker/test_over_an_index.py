"""A ranker over a nightly index: the items of today, in the order that it learned."""

from pathlib import Path

import polars as pl
import pytest
from nightly import of_run

import aisle

HISTORY = ["i1", "i3", "i5"]
"""Of somebody who buys what is dear."""


@pytest.fixture
def items(run: Path) -> pl.DataFrame:
    return pl.read_csv(run.parent / "raw" / "items.csv").with_columns(pl.col("price").cast(pl.Float64))


def test_the_same_catalogue_is_ranked_alike(run: Path, items: pl.DataFrame, tmp_path: Path) -> None:
    of_run(run, items.reverse(), tmp_path)
    own, served = (aisle.Recommender.load(run, index=place) for place in (None, tmp_path / "index"))
    wanted, found = (shop.recommend(HISTORY, k=10) for shop in (own, served))
    assert [one.item_id for one in found] == [one.item_id for one in wanted]
    assert [one.score for one in found] == pytest.approx([one.score for one in wanted], rel=1e-3)
    assert all(int(one.item_id[1:]) % 2 for one in found)


def test_an_item_that_came_is_ranked_and_one_that_went_is_not(
    run: Path, items: pl.DataFrame, tmp_path: Path
) -> None:
    new = pl.DataFrame({"item_id": ["new"], "title": ["thing number 7"], "price": [100.0]})
    today = pl.concat([items.filter(pl.col("item_id") != "i7"), new])
    of_run(run, today, tmp_path)
    served = aisle.Recommender.load(run, index=tmp_path / "index")
    found = served.recommend(HISTORY, k=len(today))
    assert {one.item_id for one in found} <= {*today["item_id"]} - {*HISTORY}
    assert served.ranker is not None
    places = [one.item_id for one in served.ranker.rank(HISTORY, ["new", "i2", "i9"], k=None, explain=True)]
    assert sorted(places) == ["i2", "i9", "new"]
    assert places.index("i9") < places.index("i2"), "what is dear comes before what is cheap"
