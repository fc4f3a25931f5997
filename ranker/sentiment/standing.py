"""The standing of items and users with reviewers at a moment, from reviews before it only.

What few reviews say is mostly chance. Each estimate is therefore drawn towards that of the category
(empirical Bayes), by as many reviews as the category is worth: k = s2 / t2, with s2 the variance of polarity
among the reviews of an item, t2 that of the items' true means, by the moment estimator of DerSimonian and
Laird 1986 ("Meta-analysis in clinical trials", equations 7 and 8). With n reviews of mean x, the standing is
(n x + k m) / (n + k), m the category's mean (Efron and Morris 1975). The same holds for shares of negative
reviews, and for slopes with their sums of squares in the place of n. The priors are point-in-time correct
as well: a category at a moment is what its reviews before that moment tell.

A category is itself drawn towards the shop, by `prior_reviews`. A shop without a review before the moment has
the mean .5 and the variance 1 / 12 of a polarity that nothing is known of.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from aisle.data.schema import TIMESTAMP
from aisle.ranker.sentiment.reviews import NEGATIVE_BELOW, check_columns
from aisle.ranker.sentiment.running import running_sums
from aisle.ranker.sentiment.settings import StandingSettings

SHOP = ""
"""Family of the members without a category; where there are no categories, of all."""

COLUMNS = (
    "sentiment_mean",
    "sentiment_spread",
    "sentiment_count",
    "sentiment_trend",
    "sentiment_negative_recent",
    "has_reviews",
)
"""What is known of an item, or a user."""


NOBODY = "\0"
"""Stands for a member that no review names."""


@dataclass(frozen=True)
class Prior:
    """What is held of a member without reviews, and how many reviews each part of it is worth.

    Attributes:
        mean, mean_worth: of polarity; in reviews.
        variance, worth: of polarity; in reviews.
        slope, slope_worth: change of polarity per year; in squared years of reviews.
        negative, negative_worth: share of negative ones among recent reviews; in reviews.
    """

    mean: float
    mean_worth: float
    variance: float
    worth: float
    slope: float
    slope_worth: float
    negative: float
    negative_worth: float


def item_sentiment(
    asked: pl.DataFrame,
    reviews: pl.DataFrame,
    categories: pl.DataFrame | None = None,
    settings: StandingSettings | None = None,
) -> pl.DataFrame:
    """The standing of items at moments.

    Args:
        asked: item_id String, moment Datetime("us", "UTC"); other columns are kept.
        reviews: item_id, time, polarity (:mod:`aisle.ranker.sentiment.reviews`); of any time. Those without
            item, time or polarity say nothing.
        categories: item_id, category; items that are not in it are a category of their own.
        settings: defaults unless given.

    Returns:
        `asked`, in its order, with

        - sentiment_mean, 0 to 1: mean polarity;
        - sentiment_spread: standard deviation of polarity;
        - sentiment_count: reviews before the moment, as they are;
        - sentiment_trend: change of polarity per year;
        - sentiment_negative_recent, 0 to 1: share of negative ones among the reviews of the last
          `recent_days`;
        - has_reviews: whether there are any before the moment. Where there are none, the columns above hold
          the prior.

    Raises:
        InputError: a column is missing or of another type.
    """
    return _sentiment(asked, reviews, "item_id", categories, settings or StandingSettings())


def user_sentiment(
    asked: pl.DataFrame, reviews: pl.DataFrame, settings: StandingSettings | None = None
) -> pl.DataFrame:
    """The standing of users at moments: how pleased they are with what they review.

    As :func:`item_sentiment`, for user_id; users are drawn towards all of the shop's.
    """
    return _sentiment(asked, reviews, "user_id", None, settings or StandingSettings())


def user_prior(reviews: pl.DataFrame, moment: datetime, settings: StandingSettings) -> Prior:
    """What is held of a user without reviews, from the reviews of all users before a moment (in UTC).

    Arguments are as in :func:`user_sentiment`.
    """
    asked = pl.DataFrame(
        {"user_id": [NOBODY], "moment": [moment]}, {"user_id": pl.String, "moment": TIMESTAMP}
    )
    known = _known(asked, reviews, "user_id", None, settings).select(**_priors(settings))
    return Prior(worth=settings.prior_reviews, **known.row(0, named=True))


def _sentiment(
    asked: pl.DataFrame,
    reviews: pl.DataFrame,
    key: str,
    categories: pl.DataFrame | None,
    settings: StandingSettings,
) -> pl.DataFrame:
    known = _known(asked, reviews, key, categories, settings).select(_estimates(settings)).select(COLUMNS)
    return pl.concat([asked, known], how="horizontal")


def _known(
    asked: pl.DataFrame,
    reviews: pl.DataFrame,
    key: str,
    categories: pl.DataFrame | None,
    settings: StandingSettings,
) -> pl.DataFrame:
    """For each question the sums before its moment: of the member, its category (c_) and the shop (s_)."""
    check_columns(asked, {key: pl.String(), "moment": TIMESTAMP}, "questions")
    check_columns(reviews, {key: pl.String(), "time": TIMESTAMP, "polarity": pl.Float64()}, "reviews")
    told = reviews.drop_nulls([key, "time", "polarity"])
    told = _with_family(told.rename({key: "member"}), key, categories).with_columns(
        negative=(pl.col("polarity") < NEGATIVE_BELOW).cast(pl.Float64)
    )
    members, families = running_sums(told)
    shop = running_sums(told.with_columns(family=pl.lit(SHOP)))[1]
    window = timedelta(days=settings.recent_days)
    questions = _with_family(asked.select(pl.col(key).alias("member"), "moment"), key, categories)
    questions = questions.with_row_index("row").with_columns(start=pl.col("moment") - window)
    questions = _before(questions, members, "member", "")
    questions = _before(questions, families, "family", "c_")
    questions = _before(questions.with_columns(shop=pl.lit(SHOP)), shop, "family", "s_", of="shop")
    return questions.sort("row")


def _with_family(table: pl.DataFrame, key: str, categories: pl.DataFrame | None) -> pl.DataFrame:
    if categories is None:
        return table.with_columns(family=pl.lit(SHOP))
    check_columns(categories, {key: pl.String(), "category": pl.String()}, "categories")
    named = categories.select(member=key, family="category").unique(
        "member", keep="first", maintain_order=True
    )
    joined = table.join(named, on="member", how="left", maintain_order="left")
    return joined.with_columns(pl.col("family").fill_null(SHOP))


def _before(questions: pl.DataFrame, sums: pl.DataFrame, by: str, prefix: str, of: str = "") -> pl.DataFrame:
    """The sums before each moment, and, as `old_n` and `old_neg`, those before its recent days."""
    names = [name for name in sums.columns if name not in (by, "time")]
    table = sums.sort("time", maintain_order=True)
    for moment, chosen, before in (("moment", names, prefix), ("start", ["n", "neg"], f"{prefix}old_")):
        right = table.select(pl.col(by).alias(of or by), "time", pl.col(chosen).name.prefix(before))
        questions = questions.sort(moment, maintain_order=True).join_asof(
            right,
            left_on=moment,
            right_on="time",
            by=of or by,
            strategy="backward",
            allow_exact_matches=False,
            check_sortedness=False,
            coalesce=True,
        )
        questions = questions.drop("time", strict=False)
        questions = questions.with_columns(pl.col(f"{before}{name}").fill_null(0.0) for name in chosen)
    return questions


def _priors(settings: StandingSettings) -> dict[str, pl.Expr]:
    """The fields of :class:`Prior` but `worth`, from sums of the category (c_) and the shop (s_)."""
    own = settings.prior_reviews

    mean_shop = _or(pl.col("s_x") / pl.col("s_n"), 0.5)
    mean = (pl.col("c_x") + own * mean_shop) / (pl.col("c_n") + own)
    variance_shop = _or(_within("s_", "within"), 1 / 12)
    free = (pl.col("c_n") - pl.col("c_members")).clip(lower_bound=0)
    variance = (pl.col("c_within") + own * variance_shop) / (free + own)

    slope_shop = _or(pl.col("s_t_x") / pl.col("s_t_t"), 0.0)
    slope = (pl.col("c_t_x") + own * slope_shop) / (pl.col("c_t_t") + own)

    share_shop = _or(pl.col("s_neg") / pl.col("s_n"), 0.5)
    share = (pl.col("c_neg") + own * share_shop) / (pl.col("c_n") + own)
    lately = pl.col("c_n") - pl.col("c_old_n")
    share_lately = (pl.col("c_neg") - pl.col("c_old_neg") + own * share) / (lately + own)
    return {
        "mean": mean,
        "mean_worth": _worth("mean2", "x", "within", settings),
        "variance": variance,
        "slope": slope,
        "slope_worth": _worth_of_slopes(variance, settings),
        "negative": share_lately,
        "negative_worth": _worth("neg2", "neg", "neg_within", settings),
    }


def _estimates(settings: StandingSettings) -> list[pl.Expr]:
    """The columns of a standing: sums of the member, drawn towards the prior."""
    own, prior = settings.prior_reviews, _priors(settings)
    n, recent = pl.col("n"), pl.col("n") - pl.col("old_n")
    k, k_slope, k_share = prior["mean_worth"], prior["slope_worth"], prior["negative_worth"]
    return [
        ((pl.col("x") + k * prior["mean"]) / (n + k)).alias("sentiment_mean"),
        ((pl.col("x_x") + own * prior["variance"]) / ((n - 1).clip(lower_bound=0) + own))
        .sqrt()
        .alias("sentiment_spread"),
        n.cast(pl.Int64).alias("sentiment_count"),
        ((pl.col("t_x") + k_slope * prior["slope"]) / (pl.col("t_t") + k_slope)).alias("sentiment_trend"),
        ((pl.col("neg") - pl.col("old_neg") + k_share * prior["negative"]) / (recent + k_share)).alias(
            "sentiment_negative_recent"
        ),
        (n > 0).alias("has_reviews"),
    ]


def _or(values: pl.Expr, otherwise: float | pl.Expr) -> pl.Expr:
    """The values where they are finite numbers."""
    return pl.when(values.is_finite()).then(values).otherwise(otherwise)


def _within(prefix: str, squares: str) -> pl.Expr:
    """Variance within the members of a family; not finite where no member has two reviews."""
    return pl.col(f"{prefix}{squares}") / (pl.col(f"{prefix}n") - pl.col(f"{prefix}members"))


def _worth(means2: str, total: str, squares: str, settings: StandingSettings) -> pl.Expr:
    """Reviews that the prior is worth: of the category where it can tell, else of the shop, else as set."""
    found = pl.lit(settings.prior_reviews)
    for prefix in ("s_", "c_"):
        n = pl.col(f"{prefix}n")
        apart = pl.col(f"{prefix}{means2}") - pl.col(f"{prefix}{total}") ** 2 / n
        degrees, inside = pl.col(f"{prefix}members") - 1, _within(prefix, squares)
        between = (apart - degrees * inside) / (n - pl.col(f"{prefix}n2") / n)
        found = _ratio(inside, between, degrees, found, settings)
    return found


def _worth_of_slopes(variance: pl.Expr, settings: StandingSettings) -> pl.Expr:
    """The same for slopes, in their unit of information: squared years of reviews."""
    found = pl.lit(settings.prior_reviews)
    for prefix in ("s_", "c_"):
        weight = pl.col(f"{prefix}t_t")
        apart = pl.col(f"{prefix}slope2") - pl.col(f"{prefix}t_x") ** 2 / weight
        degrees = pl.col(f"{prefix}slopes") - 1
        between = (apart - degrees * variance) / (weight - pl.col(f"{prefix}t_t2") / weight)
        found = _ratio(variance, between, degrees, found, settings)
    return found


def _ratio(
    inside: pl.Expr, between: pl.Expr, degrees: pl.Expr, otherwise: pl.Expr, settings: StandingSettings
) -> pl.Expr:
    most = settings.most_prior_reviews
    worth = pl.when(between > inside / most).then(inside / between).otherwise(most)
    told = (degrees >= 1) & inside.is_finite() & between.is_finite() & (inside > 0)
    return pl.when(told).then(worth).otherwise(otherwise)
