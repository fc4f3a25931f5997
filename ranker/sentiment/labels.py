"""Classes of reviews: from stars, or as somebody gave them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aisle.data.errors import InputError
from aisle.ranker.sentiment.reviews import polarity_of_stars
from aisle.ranker.sentiment.settings import LabelSettings

LEAST = 8
"""Reviews of a class at least, so that training, validation and test have some."""


@dataclass(frozen=True)
class Labelled:
    """Reviews with their classes; equal texts are there once.

    Attributes:
        texts: n texts.
        labels: class of each, int64 (n).
        classes: names.
        polarities: of the classes, 0 to 1.
    """

    texts: tuple[str, ...]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    polarities: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> "Labelled":
        """Some of the reviews, in the order of `rows`."""
        chosen = np.asarray(rows, np.int64)
        texts = tuple(self.texts[row] for row in chosen)
        return Labelled(texts, self.labels[chosen], self.classes, self.polarities)

    def parts(self, validation: float, test: float, seed: int) -> tuple["Labelled", "Labelled", "Labelled"]:
        """(training, validation, test): random, with every class in each of them by its share."""
        random = np.random.default_rng(seed)
        parts: tuple[list[int], ...] = ([], [], [])
        for label in range(len(self.classes)):
            rows = random.permutation(np.flatnonzero(self.labels == label))
            sizes = [max(1, round(share * len(rows))) for share in (validation, test)]
            cuts = np.cumsum([len(rows) - sum(sizes), sizes[0]])
            for part, found in zip(parts, np.split(rows, cuts), strict=True):
                part.extend(found.tolist())
        found_parts = [self.take(random.permutation(np.array(part, np.int64))) for part in parts]
        return found_parts[0], found_parts[1], found_parts[2]


def from_stars(texts: pl.Series, stars: pl.Series, settings: LabelSettings) -> Labelled:
    """Classes from stars, 0 to 5: two, or one for each number of stars (rounded) that occurs.

    Raises:
        InputError: stars outside 0 to 5, or fewer than two classes have `LEAST` reviews or more.
    """
    table = pl.DataFrame({"text": texts, "stars": stars.cast(pl.Float64)}).drop_nulls()
    outside = table.filter(~pl.col("stars").is_between(0, 5))
    if outside.height:
        raise InputError("stars from 0 to 5", f"{outside['stars'][0]:g}", "rescale them")
    if settings.classes == "binary":
        value = pl.col("stars")
        name = (
            pl.when(value <= settings.negative_to)
            .then(pl.lit("negative"))
            .when(value >= settings.positive_from)
            .then(pl.lit("positive"))
        )
        return _labelled(table.with_columns(label=name), {"negative": 0.0, "positive": 1.0})
    rounded = table.with_columns(stars=pl.col("stars").round()).with_columns(
        label=pl.col("stars").cast(pl.Int64).cast(pl.String), polarity=polarity_of_stars(pl.col("stars"))
    )
    return _labelled(rounded, dict(rounded.select("label", "polarity").unique().iter_rows()))


def from_labels(texts: pl.Series, labels: pl.Series, settings: LabelSettings) -> Labelled:
    """Classes as given; what each says is in `settings.polarities`.

    Raises:
        InputError: a label is not in there, or fewer than two classes have `LEAST` reviews or more.
    """
    table = pl.DataFrame({"text": texts, "label": labels.cast(pl.String).str.to_lowercase()}).drop_nulls()
    known = settings.polarities
    unknown = table.filter(~pl.col("label").is_in(list(known)))
    if unknown.height:
        raise InputError(
            f"labels {', '.join(known)}",
            f"{unknown['label'][0]!r} in {unknown.height} reviews",
            "add them to ranker.sentiment.labels.polarities",
        )
    return _labelled(table, known)


def _labelled(table: pl.DataFrame, polarities: dict[str, float]) -> Labelled:
    """Distinct texts with a class; of a text with several the first one."""
    told = table.drop_nulls("label").with_columns(pl.col("text").str.strip_chars())
    told = told.filter(pl.col("text") != "").unique("text", keep="first", maintain_order=True)
    counts = dict(told.group_by("label").len().iter_rows())
    classes = sorted(counts, key=lambda name: (polarities[name], name))
    few = [name for name in classes if counts[name] < LEAST]
    if few or len(classes) < 2:
        said = ", ".join(f"{name}: {counts[name]}" for name in classes) or "none"
        raise InputError(
            f"two classes of reviews or more, with at least {LEAST} different texts each",
            said,
            "give more reviews, or other classes (ranker.sentiment.labels)",
        )
    place = {name: row for row, name in enumerate(classes)}
    labels = np.array([place[name] for name in told["label"]], np.int64)
    values = tuple(polarities[name] for name in classes)
    return Labelled(tuple(told["text"].to_list()), labels, tuple(classes), values)
