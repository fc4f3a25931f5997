"""What can be set about sentiment."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from aisle.retriever.settings import EncoderSettings


class StandingSettings(BaseModel):
    """How the standing of an item or a user with reviewers is estimated."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    recent_days: float = Field(default=90.0, gt=0, description="days before the moment that count as recent")
    category_items: int = Field(
        default=20, ge=1, description="items of a category that is narrow enough to stand for its items"
    )
    prior_reviews: float = Field(
        default=5.0,
        gt=0,
        description="reviews that a prior is worth where the data does not tell: of spreads, of a category "
        "against the shop, and where too few items have been reviewed to say how much they differ",
    )
    most_prior_reviews: float = Field(
        default=200.0, gt=0, description="reviews that a prior is worth at most, where items do not differ"
    )


class AspectSettings(BaseModel):
    """What buyers talk about."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    found: int = Field(
        default=15, ge=0, description="aspects found in the reviews, beside those that any shop has, at most"
    )
    least_share: float = Field(
        default=0.01, gt=0, le=1, description="share of the reviews that name a found aspect, at least"
    )
    most_share: float = Field(
        default=0.3, gt=0, le=1, description="share that name it at most; what all name is the product"
    )
    sentences: int = Field(
        default=3, ge=1, description="sentences that speak for an aspect, and as many against it"
    )


class FeedbackSettings(BaseModel):
    """When the sentiment of an item or an aspect has moved."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    recent_days: float = Field(default=30.0, gt=0, description="last days, held against those before")
    before_days: float = Field(default=365.0, gt=0, description="days before them that they are held against")
    least_recent: int = Field(default=5, ge=2, description="reviews in the last days, at least")
    least_before: int = Field(default=10, ge=2, description="reviews in the days before, at least")
    false_discoveries: float = Field(
        default=0.1, gt=0, lt=1, description="expected share of what only seems to have moved"
    )


class LabelSettings(BaseModel):
    """What the classes of reviews are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    classes: Literal["binary", "stars"] = Field(
        default="binary",
        description="of labels from stars: negative and positive, or each number of stars. Given labels are "
        "classes as they are",
    )
    negative_to: float = Field(default=2.0, ge=0, le=5, description="binary: most stars of a negative review")
    positive_from: float = Field(
        default=4.0,
        ge=0,
        le=5,
        description="binary: fewest stars of a positive one; those between are left out",
    )
    polarities: dict[str, float] = Field(
        default={"negative": 0.0, "0": 0.0, "neutral": 0.5, "positive": 1.0, "1": 1.0},
        description="polarity of given labels, 0 to 1, in lower case",
    )

    @model_validator(mode="after")
    def _ordered(self) -> "LabelSettings":
        if self.negative_to >= self.positive_from:
            raise ValueError("negative_to below positive_from")
        if any(not 0 <= polarity <= 1 for polarity in self.polarities.values()):
            raise ValueError("polarities from 0 to 1")
        return self


class NGramSettings(BaseModel):
    """The bag of n-grams beside the language model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    analyzer: Literal["auto", "word", "char"] = Field(
        default="auto",
        description="n-grams of words or of characters; auto: of characters where the script has no spaces",
    )
    longest_word: int = Field(default=2, ge=1, description="words of the longest n-gram of words")
    longest_char: int = Field(default=4, ge=1, description="characters of the longest n-gram of characters")
    features: int = Field(
        default=2**30,
        ge=2,
        lt=2**31,
        description="places that n-grams are hashed to; those that are not used take no room",
    )
    least_reviews: int = Field(
        default=2, ge=1, description="reviews that an n-gram occurs in, at least; rarer ones are left out"
    )
    strengths: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        default=(1.0, 3.0, 10.0, 30.0, 100.0, 300.0),
        min_length=1,
        description="inverse strengths of the regularisation; validation chooses, for both regressions",
    )


class SentimentSettings(BaseModel):
    """The classifier of reviews, and what is made of its answers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    encoder: EncoderSettings = EncoderSettings(max_tokens=160)
    labels: LabelSettings = LabelSettings()
    ngrams: NGramSettings = NGramSettings()
    standing: StandingSettings = StandingSettings()
    aspects: AspectSettings = AspectSettings()
    feedback: FeedbackSettings = FeedbackSettings()
    frozen_layers: int = Field(
        default=3, ge=0, description="lowest layers of the language model that stay as they are"
    )
    overlap: int = Field(
        default=16, ge=0, description="tokens that two windows of a long review have in common"
    )
    reviews_per_class: int = Field(
        default=1500,
        ge=1,
        description="reviews of a class that the language model learns from at most; n-grams learn from all",
    )
    windows: int = Field(
        default=4, ge=1, description="windows of a review in one training step at most; scoring reads all"
    )
    epochs: int = Field(default=2, ge=1, description="times that the language model reads its reviews")
    batch_size: int = Field(default=16, ge=1, description="reviews in one step")
    learning_rate: float = Field(default=1e-4, gt=0, description="of AdamW, falling to 0 over the steps")
    head_learning_rate: float = Field(default=1e-3, gt=0, description="of the layer that gives the classes")
    weight_decay: float = Field(default=0.01, ge=0, description="of AdamW")
    warmup_share: float = Field(
        default=0.1, ge=0, lt=1, description="share of the steps over which the learning rate rises"
    )
    validation_share: float = Field(
        default=0.1, gt=0, lt=0.5, description="share of the reviews on which settings and weights are chosen"
    )
    test_share: float = Field(
        default=0.1, gt=0, lt=0.5, description="share of the reviews on which the classifier is measured"
    )

    @model_validator(mode="after")
    def _room_for_words(self) -> "SentimentSettings":
        if self.overlap >= self.encoder.max_tokens - 2:
            raise ValueError("overlap below encoder.max_tokens - 2")
        return self
