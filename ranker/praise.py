"""For each item the sentence of a review that speaks for it."""

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import polars as pl

from aisle.data.prepared import BEFORE, Prepared
from aisle.ranker.sentiment.aspects import sentences
from aisle.ranker.sentiment.reviews import shop_reviews

PAST = BEFORE["test"]
FILE = "praise.parquet"

PLEASED = 0.75
"""Polarity of a review from which on it speaks for its item: four stars."""

SHORTEST, LONGEST = 25, 160
"""Characters of a sentence."""

MOST = 200
"""Newest pleased reviews of an item that are looked at."""

_WORD = re.compile(r"\w+")


def praise(shop: Prepared) -> pl.DataFrame:
    """(item_id, sentence): of the pleased reviews before the test part, what others say of the item, too.

    Items without a fitting sentence are left out.
    """
    reviews = shop_reviews(shop, PAST).filter(
        pl.col("polarity") >= PLEASED, pl.col("text").is_not_null(), pl.col("item_id").is_not_null()
    )
    told = reviews.group_by("item_id", maintain_order=True).agg(pl.col("text").tail(MOST)).sort("item_id")
    texts = told["text"].to_list()
    frequency = Counter(word for some in texts for word in {word for text in some for word in words(text)})
    found = {
        item: best_sentence(some, frequency, len(texts))
        for item, some in zip(told["item_id"], texts, strict=True)
    }
    kept = {item: sentence for item, sentence in found.items() if sentence}
    schema = {"item_id": pl.String, "sentence": pl.String}
    return pl.DataFrame({"item_id": list(kept), "sentence": list(kept.values())}, schema=schema)


def best_sentence(reviews: list[str], frequency: Counter[str], items: int) -> str | None:
    """The sentence whose words are said in most of the reviews of the item, and in few of other items'.

    A word weighs (share of the item's reviews that say it) x log(items / items of which it is said); a
    sentence has the mean of its words. Among equals the newest one.

    Args:
        reviews: of one item, oldest first.
        frequency: items of which each word is said.
        items: with reviews.

    Returns:
        None where no sentence is between `SHORTEST` and `LONGEST` characters.
    """
    said = Counter(word for review in reviews for word in set(words(review)))
    best, best_weight = None, -1.0
    for review in reviews:
        for sentence in sentences(review):
            if not SHORTEST <= len(sentence) <= LONGEST:
                continue
            found = list(words(sentence))
            weights = [said[word] / len(reviews) * np.log(items / frequency[word]) for word in found]
            weight = float(np.mean(weights)) if weights else -1.0
            if weight >= best_weight:
                best, best_weight = sentence, weight
    return best


def words(text: str) -> Iterable[str]:
    """Words of a text in lower case."""
    return (match.group() for match in _WORD.finditer(text.lower()))


def read_praise(folder: Path) -> dict[str, str]:
    """Sentences of items in a ranker's folder; none where it was trained without reviews."""
    path = folder / FILE
    return dict(pl.read_parquet(path).iter_rows()) if path.is_file() else {}
