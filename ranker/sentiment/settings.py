"""What can be set about sentiment."""

from pydantic import BaseModel, ConfigDict, Field


class StandingSettings(BaseModel):
    """How the standing of an item or a user with reviewers is estimated."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    recent_days: float = Field(default=90, gt=0, description="days before the moment that count as recent")
    category_items: int = Field(
        default=20, ge=1, description="items of a category that is narrow enough to stand for its items"
    )
    prior_reviews: float = Field(
        default=5,
        gt=0,
        description="reviews that a prior is worth where the data does not tell: of spreads, of a category "
        "against the shop, and where too few items have been reviewed to say how much they differ",
    )
    most_prior_reviews: float = Field(
        default=200, gt=0, description="reviews that a prior is worth at most, where items do not differ"
    )
