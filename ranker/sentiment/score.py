"""Reviews with what a classifier says of them."""

import polars as pl

from aisle.ranker.sentiment.classifier import SentimentClassifier


def scored(reviews: pl.DataFrame, classifier: SentimentClassifier) -> pl.DataFrame:
    """Reviews whose polarity is the classifier's, with the probability of each class.

    A review without words keeps the polarity of its stars; its probabilities are null.

    Args:
        reviews: :mod:`aisle.ranker.sentiment.reviews`.
        classifier: trained.

    Returns:
        The same rows and columns, and `p_<class>` Float64 for each class.
    """
    numbered = reviews.with_row_index("row")
    told = numbered.filter(pl.col("text").is_not_null()).select("row", "text")
    found = classifier.probabilities(told["text"].to_list())
    says = pl.Series("says", classifier.polarity_of(found))
    columns = [pl.Series(f"p_{name}", found[:, place]) for place, name in enumerate(classifier.classes)]
    read = told.select("row").with_columns(says, *columns)
    joined = numbered.join(read, on="row", how="left", maintain_order="left")
    return joined.with_columns(polarity=pl.coalesce("says", "polarity")).drop("row", "says")
