"""Reviews: stars that follow the product's quality, sentences that follow the stars."""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from aisle.data.shop.catalogue import Catalogue, Rows
from aisle.data.shop.choices import Choices
from aisle.data.shop.departments import ASPECTS
from aisle.data.shop.draws import Keys, below, child, normal, uniform
from aisle.data.shop.log import OPENED, user_ids
from aisle.data.shop.phrases import BLAME, HOPEFUL, OPENINGS, PRAISE, SUMMARIES
from aisle.data.shop.settings import DAYS
from aisle.data.shop.tastes import Tastes
from aisle.data.shop.visits import Visits

REVIEWS = 0.35
"""Share of purchases that are reviewed."""

STAR_EDGES = np.array([-1.25, -0.8, -0.25, 0.6])
"""Satisfaction from which on a review has two, three, four and five stars."""


def make_reviews(catalogue: Catalogue, tastes: Tastes, visits: Visits, choices: Choices) -> pl.DataFrame:
    """Reviews in the columns of Amazon's 2018 reviews, in no order.

    A review comes 2 to 20 days after the purchase, while the product is still on sale.

    Columns: reviewerID, asin String; overall Float64; reviewText, summary String; unixReviewTime Int64 (s).
    """
    keys = child(visits.keys, 50)
    item, day = choices.items[:, 0], visits.day + 2 + below(child(keys, 0), 19)
    wanted = (
        choices.bought & (uniform(child(keys, 1)) < REVIEWS) & (day < catalogue.end_day[item]) & (day < DAYS)
    )
    chosen = np.nonzero(wanted)[0]
    keys, item, user = keys[chosen], item[chosen], visits.user[chosen]
    satisfaction = (
        0.8 * catalogue.quality[item]
        + 0.4 * tastes.leniency[user]
        + 0.12 * choices.liking[chosen]
        + 0.5 * normal(child(keys, 2))
    )
    stars = 1 + np.searchsorted(STAR_EDGES, satisfaction)
    text, summary = _texts(catalogue, catalogue.leaf[item], stars, child(keys, 3))
    second = 86_400 * day[chosen] + 25_000 + below(child(keys, 4), 60_000)
    return pl.DataFrame(
        {
            "reviewerID": user_ids(tastes.users).gather(user),
            "asin": catalogue.ids.gather(item),
            "overall": stars.astype(np.float64),
            "reviewText": text,
            "summary": summary,
            "unixReviewTime": OPENED + second,
        }
    )


def _texts(catalogue: Catalogue, leaf: Rows, stars: Rows, keys: Keys) -> tuple[pl.Series, pl.Series]:
    """Text and summary of reviews: an opening and one to three sentences about different aspects."""
    noun = pl.Series([each.nouns[0] for each in catalogue.leaves], dtype=pl.String).gather(leaf)
    aspects = pl.Series([word for each in catalogue.leaves for word in each.aspects], dtype=pl.String)
    hopeful = np.array([0.0, *HOPEFUL.values()])[stars]
    count = 1 + below(child(keys, 0), 3)
    first = below(child(keys, 1), ASPECTS)
    template = below(child(keys, 4), len(PRAISE))
    sentences = [_by_stars(OPENINGS, stars, child(keys, 2), noun)]
    for number in range(3):
        key = child(keys, 10 + number)
        aspect = aspects.gather(leaf * ASPECTS + (first + number) % ASPECTS)
        praise = uniform(child(key, 0)) < hopeful
        at = (template + number) % len(PRAISE) + np.where(praise, 0, len(PRAISE))
        sentence = _filled(PRAISE + BLAME, at, aspect)
        sentences.append(pl.select(pl.when(pl.Series(number < count)).then(sentence)).to_series())
    frame = pl.DataFrame([sentence.alias(str(i)) for i, sentence in enumerate(sentences)])
    text = frame.select(pl.concat_str(pl.all(), separator=" ", ignore_nulls=True)).to_series()
    return text, _by_stars(SUMMARIES, stars, child(keys, 3), noun)


def _by_stars(phrases: Mapping[int, tuple[str, ...]], stars: Rows, keys: Keys, word: pl.Series) -> pl.Series:
    each = len(phrases[1])
    return _filled(
        [phrase for star in phrases.values() for phrase in star], (stars - 1) * each + below(keys, each), word
    )


def _filled(templates: Sequence[str], at: Rows, word: pl.Series) -> pl.Series:
    """Templates `at`, with `word` in the place that braces mark, if any."""
    parts = [template.replace("{noun}", "{aspect}").partition("{aspect}") for template in templates]
    before, slot, after = (
        pl.Series(column, dtype=pl.String).gather(at) for column in zip(*parts, strict=True)
    )
    filled = pl.DataFrame({"before": before, "word": word, "slot": slot, "after": after})
    there = pl.when(pl.col("slot") != "").then("word").otherwise(pl.lit(""))
    return filled.select(pl.concat_str("before", there, "after")).to_series()
