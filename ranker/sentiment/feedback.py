"""What has moved: items and aspects whose sentiment in the last days differs from before, beyond chance.

The reviews of the last days are held against those before by a rank test (Mann and Whitney 1947, with the
correction for ties), since polarities are few and skewed. Many are tested at once; the expected share of
false ones among those called moved is kept below a level (Benjamini and Hochberg 1995).
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

import numpy as np
import polars as pl
from scipy.stats import false_discovery_control, mannwhitneyu

from aisle.ranker.sentiment.mentions import clearest
from aisle.ranker.sentiment.settings import FeedbackSettings

FEEDBACK = pl.Schema(
    {
        "item_id": pl.String(),
        "aspect": pl.String(),
        "before": pl.Float64(),
        "before_reviews": pl.Int64(),
        "recent": pl.Float64(),
        "recent_reviews": pl.Int64(),
        "change": pl.Float64(),
        "low": pl.Float64(),
        "high": pl.Float64(),
        "p": pl.Float64(),
        "q": pl.Float64(),
        "moved": pl.Boolean(),
        "sentence": pl.String(),
    }
)


def feedback(
    reviews: pl.DataFrame, found: pl.DataFrame, moment: datetime, settings: FeedbackSettings
) -> pl.DataFrame:
    """Items, aspects of the shop, and aspects of items, each with what changed before `moment`.

    Args:
        reviews: :mod:`aisle.ranker.sentiment.reviews`; only what is earlier than `moment` is read.
        found: mentions of aspects in them (:func:`aisle.ranker.sentiment.mentions.mentions`).
        moment: in UTC.
        settings: the days, the fewest reviews to test, the level.

    Returns:
        `FEEDBACK`, what is surest first: item_id (null: the whole shop) and aspect (null: all that is said);
        mean polarity before and recently, and of how many reviews; the change, with the ends of its 95%
        interval (Welch); p of the test, q after the correction for many, whether it moved (q at most the
        level); and the recent sentence that says it most clearly. What has too few reviews is not in it.
    """
    start = moment - timedelta(days=settings.recent_days)
    first = start - timedelta(days=settings.before_days)
    in_time = (pl.col("time") >= first) & (pl.col("time") < moment)
    rows = []
    for item, aspect, group, said in _groups(reviews.filter(in_time), found.filter(in_time)):
        late = (group["time"] >= start).to_numpy()
        polarity = group["polarity"].to_numpy()
        before, recent = polarity[~late], polarity[late]
        if len(before) < settings.least_before or len(recent) < settings.least_recent:
            continue
        change = recent.mean() - before.mean()
        error = np.sqrt(recent.var(ddof=1) / len(recent) + before.var(ddof=1) / len(before))
        constant = np.ptp(np.concatenate([before, recent])) == 0
        p = 1.0 if constant else float(mannwhitneyu(recent, before, method="asymptotic").pvalue)
        rows.append(
            {
                "item_id": item,
                "aspect": aspect,
                "before": before.mean(),
                "before_reviews": len(before),
                "recent": recent.mean(),
                "recent_reviews": len(recent),
                "change": change,
                "low": change - 1.96 * error,
                "high": change + 1.96 * error,
                "p": p,
                "sentence": clearest(said.filter(pl.col("time") >= start), pleased=bool(change > 0)),
            }
        )
    table = pl.DataFrame(
        rows, schema={name: FEEDBACK[name] for name in FEEDBACK if name not in ("q", "moved")}
    )
    q = false_discovery_control(table["p"].to_numpy(), method="bh") if rows else np.zeros(0)
    table = table.with_columns(q=pl.Series(q, dtype=pl.Float64))
    table = table.with_columns(moved=pl.col("q") <= settings.false_discoveries)
    return table.select(FEEDBACK.names()).sort(
        "p", "item_id", "aspect", nulls_last=False, maintain_order=True
    )


def _groups(
    reviews: pl.DataFrame, found: pl.DataFrame
) -> Iterator[tuple[str | None, str | None, pl.DataFrame, pl.DataFrame]]:
    """(item, aspect, its reviews as time and polarity, the sentences about it)."""
    told = reviews.drop_nulls(["time", "polarity"])
    said = {
        key: part
        for (key,), part in found.drop_nulls("item_id").partition_by("item_id", as_dict=True).items()
    }
    for (item,), part in told.drop_nulls("item_id").partition_by("item_id", as_dict=True).items():
        yield str(item), None, part, said.get(item, found.clear())
    once = found.drop_nulls(["time", "polarity"])
    keys = ["review", "aspect", "time"]
    for (aspect,), part in once.partition_by("aspect", as_dict=True).items():
        yield None, str(aspect), part.group_by(keys).agg(pl.mean("polarity")), part
    for (item, aspect), part in (
        once.drop_nulls("item_id").partition_by("item_id", "aspect", as_dict=True).items()
    ):
        yield str(item), str(aspect), part.group_by(keys).agg(pl.mean("polarity")), part
