"""The standing of items and users: equal to its formulas said slowly, and blind to the future."""

from datetime import UTC, datetime, timedelta
from math import sqrt

import numpy as np
import polars as pl
import pytest
from worlds import write_prepared

from aisle.data.errors import InputError
from aisle.data.schema import TIMESTAMP
from aisle.ranker.sentiment.reviews import REVIEWS, item_categories, polarity_of_stars, shop_reviews
from aisle.ranker.sentiment.settings import StandingSettings
from aisle.ranker.sentiment.standing import COLUMNS, item_sentiment, user_sentiment

START = datetime(2024, 1, 1, tzinfo=UTC)
SETTINGS = StandingSettings(recent_days=30, prior_reviews=4, most_prior_reviews=50)


def day(number: float) -> datetime:
    return START + timedelta(days=number)


def reviews_of(rows: list[tuple[str, str, float, float]]) -> pl.DataFrame:
    """Of (user, item, day, stars)."""
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "day", "stars"], orient="row")
    return frame.select(
        "user_id",
        "item_id",
        time=pl.Series([day(number) for number in frame["day"]], dtype=TIMESTAMP),
        stars=pl.col("stars").cast(pl.Float64),
        text=pl.lit(None, pl.String),
        polarity=polarity_of_stars(pl.col("stars").cast(pl.Float64)),
    )


def asked(*questions: tuple[str, float], key: str = "item_id") -> pl.DataFrame:
    moments = pl.Series("moment", [day(number) for _, number in questions], dtype=TIMESTAMP)
    return pl.DataFrame({key: [one for one, _ in questions]}).with_columns(moments)


def random_reviews(seed: int = 0, count: int = 400) -> pl.DataFrame:
    """Items of two categories and different quality, one of which gets worse."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        item, when = int(rng.integers(24)), float(rng.integers(600))
        quality = 4.4 - 0.08 * item - (when / 200 if item == 0 else 0)
        stars = float(np.clip(np.rint(rng.normal(quality, 1)), 1, 5))
        rows.append((f"u{rng.integers(60)}", f"i{item}", when, stars))
    return reviews_of(rows)


CATEGORIES = pl.DataFrame({"item_id": [f"i{item}" for item in range(20)], "category": ["even", "odd"] * 10})


def slowly(item: str, moment: datetime, reviews: pl.DataFrame) -> dict[str, float]:
    """The formulas of the module, over lists."""
    category = dict(CATEGORIES.iter_rows())
    past = reviews.filter(pl.col("time") < moment).sort("time")
    first = reviews["time"].min()
    told = [
        (
            one["item_id"],
            (one["time"] - first).total_seconds() / (365.25 * 86400),
            one["polarity"],
            one["time"] >= moment - timedelta(days=SETTINGS.recent_days),
        )
        for one in past.iter_rows(named=True)
    ]
    own = SETTINGS.prior_reviews

    def family(rows):
        groups = {}
        for one in rows:
            groups.setdefault(one[0], []).append(one)
        return list(groups.values())

    def facts(rows):
        x = np.array([one[2] for one in rows])
        t = np.array([one[1] for one in rows])
        return {
            "n": len(x),
            "mean": x.mean() if len(x) else 0.0,
            "xx": ((x - x.mean()) ** 2).sum() if len(x) else 0.0,
            "tt": ((t - t.mean()) ** 2).sum() if len(x) else 0.0,
            "tx": ((t - t.mean()) * (x - x.mean())).sum() if len(x) else 0.0,
            "neg": float((x < 0.5).sum()),
            "late": sum(one[3] for one in rows),
            "late_neg": sum(one[3] and one[2] < 0.5 for one in rows),
        }

    def laird(weights, effects, inside, otherwise):
        """Worth of a prior: inside variance over the variance of effects (DerSimonian and Laird 1986)."""
        weights, effects = np.array(weights), np.array(effects)
        if len(weights) < 2 or not inside or not np.isfinite(inside):
            return otherwise
        centre = (weights * effects).sum() / weights.sum()
        heterogeneity = (weights * (effects - centre) ** 2).sum()
        scale = weights.sum() - (weights**2).sum() / weights.sum()
        between = (heterogeneity - (len(weights) - 1) * inside) / scale
        most = SETTINGS.most_prior_reviews
        return inside / between if between > inside / most else most

    mine = category.get(item, "")
    shop = [facts(rows) for rows in family(told)]
    kin = [facts(rows) for rows in family([one for one in told if category.get(one[0], "") == mine])]
    it = facts([one for one in told if one[0] == item])

    def total(facts_, name):
        return sum(one[name] for one in facts_)

    def mean(facts_):
        n = total(facts_, "n")
        return sum(one["n"] * one["mean"] for one in facts_) / n if n else np.nan

    def within(facts_, squares):
        degrees = total(facts_, "n") - len(facts_)
        return squares(facts_) / degrees if degrees else np.nan

    def xx(facts_):
        return total(facts_, "xx")

    def negatives(facts_):
        return sum(one["neg"] - one["neg"] ** 2 / one["n"] for one in facts_)

    def number(value, otherwise):
        return value if np.isfinite(value) else otherwise

    n_kin = total(kin, "n")
    centre = (n_kin * number(mean(kin), 0) + own * number(mean(shop), 0.5)) / (n_kin + own)
    variance = (xx(kin) + own * number(within(shop, xx), 1 / 12)) / (n_kin - len(kin) + own)
    k = k_share = k_slope = own
    for facts_ in (shop, kin):
        weights = [one["n"] for one in facts_]
        k = laird(weights, [one["mean"] for one in facts_], within(facts_, xx), k)
        k_share = laird(
            weights, [one["neg"] / one["n"] for one in facts_], within(facts_, negatives), k_share
        )
        sloped = [one for one in facts_ if one["tt"] > 1e-9]
        k_slope = laird(
            [one["tt"] for one in sloped], [one["tx"] / one["tt"] for one in sloped], variance, k_slope
        )
    shop_slope = total(shop, "tx") / total(shop, "tt") if total(shop, "tt") else 0.0
    slope = (total(kin, "tx") + own * shop_slope) / (total(kin, "tt") + own)
    shop_share = total(shop, "neg") / total(shop, "n") if shop else 0.5
    share = (total(kin, "neg") + own * shop_share) / (n_kin + own)
    lately = (total(kin, "late_neg") + own * share) / (total(kin, "late") + own)
    return {
        "sentiment_mean": (it["n"] * it["mean"] + k * centre) / (it["n"] + k),
        "sentiment_spread": sqrt((it["xx"] + own * variance) / (max(it["n"] - 1, 0) + own)),
        "sentiment_count": it["n"],
        "sentiment_trend": (it["tx"] + k_slope * slope) / (it["tt"] + k_slope),
        "sentiment_negative_recent": (it["late_neg"] + k_share * lately) / (it["late"] + k_share),
        "has_reviews": it["n"] > 0,
    }


@pytest.mark.parametrize("number", [0, 3, 40, 200, 650])
def test_running_sums_equal_the_formulas_said_slowly(number: int) -> None:
    reviews = random_reviews()
    questions = asked(*((f"i{item}", number) for item in (0, 1, 7, 19, 22)), ("nobody's", number))
    found = item_sentiment(questions, reviews.sample(fraction=1, shuffle=True, seed=1), CATEGORIES, SETTINGS)
    for row in found.iter_rows(named=True):
        expected = slowly(row["item_id"], row["moment"], reviews)
        assert {name: row[name] for name in COLUMNS} == pytest.approx(expected, abs=1e-9), row["item_id"]


def test_a_future_review_changes_nothing() -> None:
    reviews = random_reviews()
    questions = asked(*((f"i{item}", number) for item in range(25) for number in (10, 100, 300)))
    before = item_sentiment(questions, reviews, CATEGORIES, SETTINGS)
    planted = reviews_of([("u1", f"i{item}", 300, 1) for item in range(24) for _ in range(30)])
    after = item_sentiment(questions, pl.concat([planted, reviews]), CATEGORIES, SETTINGS)
    assert after.equals(before), "a review of the very moment, or a later one, is not known yet"
    later = asked(("i3", 300.001))
    informed = item_sentiment(later, pl.concat([reviews, planted]), CATEGORIES, SETTINGS)
    ignorant = item_sentiment(later, reviews, CATEGORIES, SETTINGS)
    assert informed["sentiment_mean"].item() < ignorant["sentiment_mean"].item() - 0.2


def test_an_item_without_reviews_has_the_prior_and_a_flag() -> None:
    stars = {"a": (5, 5, 4, 5), "b": (4, 5, 5, 5), "c": (5, 4, 5, 5)}
    rows = [("u", item, number, given) for item in stars for number, given in enumerate(stars[item])]
    found = item_sentiment(asked(("new", 50), ("a", 50)), reviews_of(rows), settings=SETTINGS)
    new, known = found.iter_rows(named=True)
    assert (new["has_reviews"], new["sentiment_count"]) == (False, 0)
    assert new["sentiment_mean"] == pytest.approx((9 * 1 + 3 * 0.75) / 12)
    assert (known["has_reviews"], known["sentiment_count"]) == (True, 4)


def test_before_the_first_review_nothing_is_known() -> None:
    (row,) = item_sentiment(asked(("a", 0)), reviews_of([("u", "a", 0, 5)])).iter_rows(named=True)
    assert row["sentiment_mean"] == 0.5
    assert row["sentiment_spread"] == pytest.approx(sqrt(1 / 12))
    assert (row["sentiment_trend"], row["sentiment_negative_recent"], row["has_reviews"]) == (0, 0.5, False)


def test_no_reviews_at_all_is_no_error() -> None:
    found = item_sentiment(asked(("a", 0)), pl.DataFrame(schema=REVIEWS))
    assert found["has_reviews"].to_list() == [False]


def test_one_bad_review_says_less_than_thirty() -> None:
    rows = [("u", f"i{item}", number, 3 + (item + number) % 3) for item in range(20) for number in range(20)]
    rows += [("u", "once", 25, 1)] + [("u", "often", 25, 1)] * 30
    found = item_sentiment(asked(("once", 30), ("often", 30), ("never", 30)), reviews_of(rows))
    once, often, never = found["sentiment_mean"]
    assert often < once < never
    assert often < 0.15
    assert found["sentiment_negative_recent"][1] > 0.8


def test_an_item_that_gets_worse_has_a_falling_trend() -> None:
    rows = [
        ("u", f"i{item}", 5 * number, 4 + (item + number) % 2) for item in range(10) for number in range(50)
    ]
    rows += [("u", "worse", 5 * number, 5 - number // 10) for number in range(50)]
    worse, steady = item_sentiment(asked(("worse", 250), ("i0", 250)), reviews_of(rows))["sentiment_trend"]
    truth = -1 / (250 / 365.25)  # five stars to one
    assert truth * 1.3 < worse < truth * 0.7
    assert abs(steady) < 0.2


def test_users_are_held_against_all_users() -> None:
    rows = [(f"u{user}", f"i{number}", number, 5 - user % 2) for user in range(10) for number in range(8)]
    rows += [("grumpy", f"i{number}", number, 1) for number in range(8)]
    found = user_sentiment(asked(("grumpy", 20), ("u0", 20), ("new", 20), key="user_id"), reviews_of(rows))
    grumpy, kind, new = found["sentiment_mean"]
    everyone = (5 * 1 + 5 * 0.75) / 11
    assert grumpy == pytest.approx(5 * everyone / (8 + 5))  # nobody wavers: five reviews, as set
    assert new == pytest.approx(everyone)
    assert kind == pytest.approx((8 * 1 + 5 * everyone) / (8 + 5))


def test_rows_and_columns_of_the_question_stay() -> None:
    questions = asked(("b", 9), ("a", 3), ("b", 1)).with_columns(mark=pl.Series([1, 2, 3]))
    found = item_sentiment(questions, reviews_of([("u", "a", 1, 5), ("u", "b", 2, 1)]))
    assert found.select(questions.columns).equals(questions)
    assert found["sentiment_count"].to_list() == [1, 1, 0]


def test_a_question_without_moments_is_refused() -> None:
    with pytest.raises(InputError, match="moment"):
        item_sentiment(pl.DataFrame({"item_id": ["a"]}), pl.DataFrame(schema=REVIEWS))


def test_reviews_of_a_prepared_shop(tmp_path) -> None:
    items = [{"item_id": "a", "categories": ["Home", "Cups"]}, {"item_id": "b", "categories": ["Home"]}]
    event = {"user_id": "u", "item_id": "a"}
    parts = {
        "train": [
            {**event, "kind": "review", "timestamp": day(1), "rating": 2.0, "text": "chipped"},
            {**event, "kind": "purchase", "timestamp": day(0)},
        ],
        "validation": [{**event, "kind": "review", "timestamp": day(0.5), "text": "no stars"}],
        "test": [{**event, "kind": "review", "timestamp": day(3)}],
    }
    prepared = write_prepared(tmp_path, items, parts)
    found = shop_reviews(prepared)
    assert found.schema == REVIEWS
    assert found.select("text", "polarity").rows() == [("no stars", None), ("chipped", 0.25)]
    assert shop_reviews(prepared, ["train"]).height == 1
    assert item_categories(prepared.items, 1).rows() == [("a", "Cups"), ("b", "Home")]
    assert item_categories(prepared.items, 2).rows() == [("a", "Home"), ("b", "Home")]
