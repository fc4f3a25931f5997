"""What the job around an evaluation adds to its report: how models were made, and what people want to see."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

FORM = ConfigDict(extra="forbid", frozen=True)


class ReliabilityBin(BaseModel):
    """Pairs of a user and an item whose probability was about the same."""

    model_config = FORM

    low: float = Field(description="low end of the probabilities")
    high: float = Field(description="high end of the same")
    count: int = Field(description="pairs")
    predicted: float = Field(description="mean probability")
    observed: float = Field(description="share of the pairs that were relevant")


class Calibration(BaseModel):
    """How far the probabilities of a model are from what happened."""

    model_config = FORM

    model: str
    of: str = Field(description="what they were held against")
    error: float = Field(description="expected calibration error: mean distance, weighted by the counts")
    bins: list[ReliabilityBin] = Field(description="bins that are not empty, by rising probability")


class ShownItem(BaseModel):
    """An item as people know it."""

    model_config = FORM

    item_id: str
    title: str = Field(description="its title, or else the beginning of its text, or else its id")
    details: str = Field("", description="brand, price and narrowest category, where they are known")


class PastEvent(BaseModel):
    """Something that a user did before the tested part."""

    model_config = FORM

    item: ShownItem
    kind: str = Field(description="kind of event")
    date: str | None = Field(None, description="day of the event; null where times are unknown")
    stars: float | None = Field(None, description="0 to 5, where it was rated")


class ShownReason(BaseModel):
    """One thing that moved an item up."""

    model_config = FORM

    kind: Literal["history", "features"]
    what: str = Field(description="title of an item of the history, or name of a group of features")
    lift: float = Field(description="what the item's score loses without it, against the mean of its list")


class ListedItem(BaseModel):
    """An item in a user's list."""

    model_config = FORM

    rank: int = Field(description="from 1")
    item: ShownItem
    relevant: bool = Field(description="whether the user wanted it")
    before: int | None = Field(
        None, description="rank in the list that was put in order; null in that list itself"
    )
    probability: float | None = Field(None, description="that the user takes it, where the model says so")
    reasons: list[ShownReason] = Field([], description="what moved it up, most first")
    review: str | None = Field(None, description="a sentence of a review that speaks for it")


class WantedItem(BaseModel):
    """A relevant item of a user, and where it stands."""

    model_config = FORM

    item: ShownItem
    ranks: dict[str, int | None] = Field(description="model → rank in its whole list; null: not in it")


class Example(BaseModel):
    """One real user."""

    model_config = FORM

    user_id: str
    outcome: str = Field(
        description="what came of it, in words; examples are drawn by chance among users alike in this"
    )
    share: float = Field(description="share of all users of the truth with this outcome")
    events: int = Field(description="events with an item before the tested part")
    history: list[PastEvent] = Field(description="the last of them, newest first")
    lists: dict[str, list[ListedItem]] = Field(
        description="model → the top of its list; the one that is put in order first"
    )
    wanted: list[WantedItem] = Field(description="what the user wanted")


class MovedOpinion(BaseModel):
    """What reviewers think of an item or an aspect, recently and before."""

    model_config = FORM

    item: ShownItem | None = Field(description="null: the whole shop")
    aspect: str | None = Field(description="null: all that is said")
    before: float = Field(description="mean polarity before, 0 to 1")
    before_reviews: int = Field(description="of how many reviews")
    recent: float = Field(description="mean polarity in the last days")
    recent_reviews: int = Field(description="of how many reviews")
    change: float = Field(description="recent minus before")
    low: float = Field(description="low end of the 95% interval of the change")
    high: float = Field(description="high end of the same")
    q: float = Field(description="p-value after the correction for all that was tested")
    moved: bool = Field(description="whether q is at most the level")
    sentence: str | None = Field(description="a recent sentence that says it most clearly")


class Aspect(BaseModel):
    """What is said of one aspect in the whole shop."""

    model_config = FORM

    aspect: str
    reviews: int = Field(description="reviews that mention it")
    polarity: float = Field(description="mean, 0 to 1")
    negative: float = Field(description="share of the reviews below one half")
    for_it: str | None = Field(description="the clearest sentence for it")
    against_it: str | None = Field(description="the clearest sentence against it")


class Customers(BaseModel):
    """What buyers say, and what of it has moved."""

    model_config = FORM

    moment: str = Field(description="day that was held to be today")
    recent_days: float = Field(description="length of the last days")
    before_days: float = Field(description="length of the time before them")
    false_discoveries: float = Field(description="expected share of false ones among those that moved")
    tested: int = Field(description="items and aspects with enough reviews to test")
    worse: int = Field(description="of them, those that fell beyond chance")
    better: int = Field(description="of them, those that rose beyond chance")
    moved: list[MovedOpinion] = Field(description="the surest, at most 40")
    aspects: list[Aspect] = Field(description="those that most reviews mention, at most 40")


class Context(BaseModel):
    """What is known around an evaluation; all of it may be unknown."""

    model_config = FORM

    counts: dict[str, JsonValue] = Field(
        {}, description="rows in, kept and rejected while preparing the data"
    )
    timings: dict[str, float] = Field({}, description="seconds of each stage or model")
    peak_memory: dict[str, int] = Field({}, description="largest resident memory of each stage, bytes")
    settings: dict[str, JsonValue] = Field({}, description="all settings of the job")
    versions: dict[str, str] = Field({}, description="versions of what computed this")
    learning_curve: list[dict[str, JsonValue]] = Field(
        [], description="one object an epoch of the towers, oldest first"
    )
    language_model_curves: dict[str, list[dict[str, JsonValue]]] = Field(
        {}, description="the same of the stages that made the language model"
    )
    calibration: Calibration | None = Field(None, description="probabilities of the ranker; null without one")
    examples: list[Example] = Field(
        [], description="real users, with what they were shown and what they wanted"
    )
    customers: Customers | None = Field(None, description="the shop's feedback view; null without reviews")
