"""Sentiment joins the features as it was before the moment of ranking."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from worlds import write_prepared

from aisle.data.history import Histories
from aisle.data.prepared import Prepared
from aisle.data.schema import TIMESTAMP
from aisle.ranker.columns import ItemColumns
from aisle.ranker.praise import praise
from aisle.ranker.reviewed import sentiment_columns
from aisle.ranker.reviewers import Reviewers
from aisle.ranker.sentiment.reviews import shop_reviews
from aisle.ranker.sentiment.settings import StandingSettings
from aisle.ranker.sentiment.standing import user_sentiment

START = datetime(2024, 1, 1, tzinfo=UTC)
SETTINGS = StandingSettings()


def shop(folder: Path, later_stars: float, *, stars: bool = True) -> Prepared:
    """Two items are praised and panned in train; in test, the praised one gets `later_stars`."""

    def review(user: int, item: str, day: int, rating: float) -> dict[str, object]:
        when = START + timedelta(days=day)
        about = {"user_id": f"u{user}", "item_id": item, "kind": "review", "timestamp": when}
        return {**about, "text": "words", "rating": rating if stars else None}

    parts = {
        "train": [
            review(user, item, user, 5.0 if item == "good" else 1.0)
            for user in range(8)
            for item in ("good", "bad")
        ],
        "validation": [review(20, "good", 30, 5.0)],
        "test": [review(user, "good", 40, later_stars) for user in range(30, 60)],
    }
    items = [{"item_id": name} for name in ("good", "bad", "silent")]
    kinds = {"target_kinds": ["review"], "seen_kinds": ["review"], "order": "time"}
    return write_prepared(folder, items, parts, **kinds)


def test_what_is_said_later_is_not_known(tmp_path: Path) -> None:
    praised, panned = (
        sentiment_columns(shop(tmp_path / str(stars), stars), SETTINGS) for stars in (5.0, 1.0)
    )
    for name, values in praised.values.items():
        assert np.array_equal(values, panned.values[name]), name
    good, bad, silent = praised.values["sentiment.mean"]
    assert good > silent > bad
    assert praised.values["sentiment.has_reviews"].tolist() == [1, 1, 0]
    assert praised.values["sentiment.count"] == pytest.approx(np.log1p([9, 8, 0]))


def test_an_item_that_comes_later_has_the_prior_and_the_flag(tmp_path: Path) -> None:
    found = sentiment_columns(shop(tmp_path / "shop", 5.0), SETTINGS).longer(2)
    for name, values in found.values.items():
        assert values[3:].tolist() == [values[2]] * 2, f"{name}: as an item without reviews"


def test_users_stand_as_their_reviews_say(tmp_path: Path) -> None:
    """Columns of features equal the slow standing of users; stars of the test part are not known."""
    rng = np.random.default_rng(0)
    about = {"kind": "review", "text": "words"}

    def events(first: int, last: int) -> list[dict[str, object]]:
        rows = []
        for day in range(first, last):
            stars = None if day % 7 == 0 else float(np.clip(rng.integers(6) + day % 3 - 1, 0, 5))
            user, when = f"u{day % 9}", START + timedelta(days=day)
            rows.append({**about, "user_id": user, "item_id": f"i{day}", "timestamp": when, "rating": stars})
        return rows

    parts = {"train": events(0, 150), "validation": events(150, 200)}
    items = [{"item_id": f"i{day}"} for day in range(300)]
    kinds = {"target_kinds": ["review"], "seen_kinds": ["review"], "order": "time"}
    panned = [
        {**about, "user_id": "u0", "item_id": f"i{day}", "timestamp": START + timedelta(days=day)}
        for day in range(200, 300)
    ]
    later = [{**one, "rating": 1.0} for one in panned]
    newcomer = {**later[0], "user_id": "u9"}
    shops = [
        write_prepared(tmp_path / str(len(test)), items, {**parts, "test": test}, **kinds)
        for test in ([newcomer], [newcomer, *later])
    ]
    found, other = (Reviewers.of(one, SETTINGS) for one in shops)
    assert found == other
    assert Reviewers.of_json(json.loads(json.dumps(found.as_json()))) == found
    here = shops[0]
    users = np.arange(len(here.user_ids))
    columns = found.columns(users, here.histories("train", "validation"))
    moment = START + timedelta(days=199, microseconds=1)
    asked = pl.DataFrame({"user_id": here.user_ids.values}).with_columns(
        moment=pl.lit(moment).cast(TIMESTAMP)
    )
    slow = user_sentiment(asked, shop_reviews(here, ["train", "validation"]), SETTINGS)
    for name, values in columns.items():
        expected = slow[name if name == "has_reviews" else f"sentiment_{name}"].cast(pl.Float64).to_numpy()
        assert values == pytest.approx(np.log1p(expected) if name == "count" else expected, abs=1e-5), name
    assert columns["has_reviews"].tolist() == [1] * 9 + [0]
    assert columns["mean"][9] == pytest.approx(found.prior.mean), "never a zero that means neutral"


def test_without_stars_or_times_nothing_is_known_of_reviewers(tmp_path: Path) -> None:
    assert Reviewers.of(shop(tmp_path / "none", 5.0, stars=False), SETTINGS) is None
    found = Reviewers.of(shop(tmp_path / "stars", 5.0), SETTINGS)
    nobody = Histories(np.zeros(2, np.int64), users := np.zeros(0, np.int64), users.astype(np.int8), users)
    assert found.columns(np.zeros(1, np.int64), nobody)["has_reviews"].tolist() == [0]
    assert found.columns(users, nobody)["mean"].shape == (0,)


def test_praise_is_what_many_say_of_this_item_and_few_of_others(tmp_path: Path) -> None:
    def review(user: int, item: str, text: str, rating: float) -> dict[str, object]:
        when = START + timedelta(days=user)
        about = {"user_id": f"u{user}", "item_id": item, "kind": "review", "timestamp": when}
        return {**about, "text": text, "rating": rating}

    sweet = "The sweet smell stays all day. I got it for my birthday last year."
    train = [
        *(
            review(user, "soap", sweet if user == 2 else "A sweet smell that stays.", 5.0)
            for user in range(4)
        ),
        review(5, "soap", "The worst smell that I know of, really.", 1.0),
        review(6, "rope", "I got it for my birthday last year.", 5.0),
        review(7, "tape", "Fine.", 5.0),
    ]
    parts = {
        "train": train,
        "validation": [],
        "test": [review(9, "tape", "Sticks to all that I have tried.", 5.0)],
    }
    kinds = {"target_kinds": ["review"], "seen_kinds": ["review"], "order": "time"}
    items = [{"item_id": name} for name in ("soap", "rope", "tape")]
    found = dict(praise(write_prepared(tmp_path / "shop", items, parts, **kinds)).iter_rows())
    assert found == {"soap": "A sweet smell that stays.", "rope": "I got it for my birthday last year."}


def test_without_stars_there_are_no_such_columns(tmp_path: Path) -> None:
    assert sentiment_columns(shop(tmp_path / "none", 5.0, stars=False), SETTINGS) == ItemColumns({}, {})
