"""What can be set about data: cleaning, splits and texts."""

from datetime import datetime
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from aisle.data.schema import Kind

Strategy = Literal["auto", "leave_one_out", "time", "ratio"]


class CleanSettings(BaseModel):
    """Which rows are rejected and which values are removed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    earliest: datetime = Field(
        datetime(1990, 1, 1),
        description="events before this moment (UTC) are rejected; shops were not online",
    )
    latest: datetime | None = Field(
        None, description="events after this moment (UTC) are rejected; none: a day after the job starts"
    )
    max_price: float = Field(1e7, gt=0, description="a higher price is removed, and its row kept")
    max_quantity: float = Field(1e6, gt=0, description="a higher quantity is removed, and its row kept")
    max_user_events_per_day: int = Field(
        2000, ge=0, description="users with more events on one day (UTC) are machines; 0: no such rule"
    )
    max_user_events: int = Field(
        100_000, ge=0, description="users with more events over all are machines; 0: no such rule"
    )
    min_user_events: int = Field(
        0, ge=0, description="k-core: users with fewer events that name an item leave; 0: no such rule"
    )
    min_item_events: int = Field(
        0, ge=0, description="k-core: items with fewer events leave; 0: no such rule"
    )


class SplitSettings(BaseModel):
    """How events become train, validation and test."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    strategy: Strategy = Field(
        "auto",
        description="leave_one_out (protocol S3), time or ratio; auto: leave_one_out where only the order of "
        "events is known, else time",
    )
    test_fraction: float = Field(
        0.1, gt=0, lt=1, description="share of target events in test (time: of all; ratio: of each user)"
    )
    validation_fraction: float = Field(0.1, gt=0, lt=1, description="share of target events in validation")
    target_kinds: tuple[Kind, ...] | None = Field(
        None,
        min_length=1,
        description="kinds of events that make an item relevant; none: the first of purchase, review, cart, "
        "click, view that the data holds",
    )
    seen_kinds: tuple[Kind, ...] | None = Field(
        None, description="kinds of events that take an item out of a user's results; none: the target kinds"
    )

    @model_validator(mode="after")
    def _leave_some_train(self) -> Self:
        if self.test_fraction + self.validation_fraction >= 1:
            raise ValueError("test_fraction + validation_fraction must leave something to train on (< 1)")
        return self


class TextSettings(BaseModel):
    """How items and histories become text for a language model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_tokens: int = Field(128, ge=8, description="longest text of an item or a history, in tokens")


class DataSettings(BaseModel):
    """All of the above, and where the columns of tables are explained."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mapping: Path | None = Field(
        None, description="TOML file that maps columns of tables to canonical columns"
    )
    clean: CleanSettings = CleanSettings()
    split: SplitSettings = SplitSettings()
    text: TextSettings = TextSettings()
