"""What can be set about data: cleaning, splits and texts."""

from datetime import datetime
from pathlib import Path
from string import Formatter
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from aisle.data.schema import Kind

Strategy = Literal["auto", "leave_one_out", "time", "ratio"]


class CleanSettings(BaseModel):
    """Which rows are rejected and which values are removed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    earliest: datetime = Field(
        default=datetime(1990, 1, 1),
        description="events before this moment (UTC) are rejected; shops were not online",
    )
    latest: datetime | None = Field(
        default=None,
        description="events after this moment (UTC) are rejected; none: a day after the job starts",
    )
    max_price: float = Field(default=1e7, gt=0, description="a higher price is removed, and its row kept")
    max_quantity: float = Field(
        default=1e6, gt=0, description="a higher quantity is removed, and its row kept"
    )
    machine_days: int = Field(default=90, gt=0, description="length of the window of the next two, in days")
    machine_events: int = Field(
        default=3500,
        ge=0,
        description="users with more events within any such window are machines; 0: no such rule",
    )
    machine_purchases: int = Field(
        default=1000,
        ge=0,
        description="users with more purchases within any such window are machines; 0: no such rule",
    )
    min_user_events: int = Field(
        default=0,
        ge=0,
        description="k-core: users with fewer events that name an item leave; 0: no such rule",
    )
    min_item_events: int = Field(
        default=0, ge=0, description="k-core: items with fewer events leave; 0: no such rule"
    )


class SplitSettings(BaseModel):
    """How events become train, validation and test."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    strategy: Strategy = Field(
        default="auto",
        description="leave_one_out (protocol S3), time or ratio; auto: leave_one_out where only the order of "
        "events is known, else time",
    )
    test_fraction: float = Field(
        default=0.1,
        gt=0,
        lt=1,
        description="share of target events in test (time: of all; ratio: of each user)",
    )
    validation_fraction: float = Field(
        default=0.1, gt=0, lt=1, description="share of target events in validation"
    )
    target_kinds: tuple[Kind, ...] | None = Field(
        default=None,
        min_length=1,
        description="kinds of events that make an item relevant; none: the first of purchase, review, cart, "
        "click, view that the data holds",
    )
    seen_kinds: tuple[Kind, ...] | None = Field(
        default=None,
        description="kinds of events that take an item out of a user's results; none: the target kinds",
    )

    @model_validator(mode="after")
    def _can_be_tested(self) -> Self:
        if self.target_kinds is not None and "search" in self.target_kinds:
            raise ValueError("a search names no item, so it cannot be a target kind")
        if self.test_fraction + self.validation_fraction >= 1:
            raise ValueError("test_fraction + validation_fraction must leave something to train on (< 1)")
        return self


class HistoryTemplates(BaseModel):
    """How an event of each kind reads in a history.

    Parts of text with the fields item, rating, text, price and quantity.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    view: tuple[str, ...] = Field(default=("viewed", "{item}"), description="a look at an item")
    click: tuple[str, ...] = Field(default=("clicked", "{item}"), description="a click on an item")
    cart: tuple[str, ...] = Field(
        default=("added to cart", "{item}"), description="an item put into the cart"
    )
    purchase: tuple[str, ...] = Field(default=("bought", "{item}"), description="an item bought")
    review: tuple[str, ...] = Field(
        default=("reviewed", "{item}", "({rating} of 5 stars)", '"{text}"'), description="a review of an item"
    )
    search: tuple[str, ...] = Field(default=("searched", '"{text}"'), description="a search")

    @field_validator("*")
    @classmethod
    def _fields_are_known(cls, parts: tuple[str, ...]) -> tuple[str, ...]:
        return check_template(parts, ("item", "rating", "text", "price", "quantity"))


class TextSettings(BaseModel):
    """How items and histories become text for a language model.

    A template is a list of parts with named fields. A part is left out when one of its fields is unknown; the
    rest is joined by the separator.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    item: tuple[str, ...] = Field(
        default=("{title}", "{brand}", "{categories}", "{description}", "{attributes}", "{reviews}"),
        description="parts of an item's text, from the fields title, brand, categories, description, "
        "attributes, attributes.<name>, price, reviews",
    )
    item_separator: str = Field(default=". ", description="between the parts of an item's text")
    max_chars: int = Field(
        default=1000,
        ge=1,
        description="longest text of an item, in characters; nothing behind it is even looked at",
    )
    category_levels: int = Field(
        default=3, ge=1, description="levels of the category path to show, counted from the narrow end"
    )
    category_separator: str = Field(default=" > ", description="between the levels of a category path")
    max_attributes: int = Field(default=8, ge=0, description="most attributes to show")
    attribute_chars: int = Field(default=80, ge=1, description="attributes with a longer value are not shown")
    max_reviews: int = Field(
        default=6,
        ge=0,
        description="most reviews to quote for an item that has neither title nor description",
    )
    review_chars: int = Field(
        default=160, ge=1, description="longest quotation of a review or a search, in characters"
    )
    history: HistoryTemplates = HistoryTemplates()
    history_separator: str = Field(default="; ", description="between the events of a history")
    history_item_chars: int = Field(
        default=120, ge=1, description="longest text of an item within a history, in characters"
    )
    history_tokens: int = Field(
        default=254, ge=1, description="longest text of a history, in tokens of the language model"
    )

    @field_validator("item")
    @classmethod
    def _fields_are_known(cls, parts: tuple[str, ...]) -> tuple[str, ...]:
        known = ("title", "brand", "categories", "description", "attributes", "price", "reviews")
        return check_template(parts, known, prefix="attributes.")


def check_template(
    parts: tuple[str, ...], known: tuple[str, ...], prefix: str | None = None
) -> tuple[str, ...]:
    """Return the `parts` of a template unchanged.

    Raises:
        ValueError: an empty part, no field at all, or one that is neither `known` nor starts with `prefix`.
    """
    fields = []
    for part in parts:
        if not part.strip():
            raise ValueError("a template has no empty parts")
        for _, field, format_spec, conversion in Formatter().parse(part):
            if format_spec or conversion:
                raise ValueError(f"{part!r}: fields are text already and take no format, write {{{field}}}")
            if field is not None:
                fields.append(field)
    unknown = [field for field in fields if field not in known and not (prefix and field.startswith(prefix))]
    if unknown or not fields:
        raise ValueError(
            f"a template names at least one of the fields {', '.join(known)}, found {unknown or 'none'}"
        )
    return parts


class DataSettings(BaseModel):
    """All of the above, and where the columns of tables are explained."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mapping: Path | None = Field(
        default=None, description="TOML file that maps columns of tables to canonical columns"
    )
    clean: CleanSettings = CleanSettings()
    split: SplitSettings = SplitSettings()
    text: TextSettings = TextSettings()
