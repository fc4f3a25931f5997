"""What `aisle tune` may choose from: a range or a list of values for each setting."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field, model_validator

Value = bool | int | float | str


class Range(BaseModel):
    """All numbers from `low` to `high`: whole ones if both are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    low: int | float = Field(description="smallest value")
    high: int | float = Field(description="largest value")
    log: bool = Field(default=False, description="equal ratios are equally likely, not equal differences")

    @model_validator(mode="after")
    def _has_numbers(self) -> "Range":
        if self.low >= self.high:
            raise ValueError(f"low ({self.low}) must be below high ({self.high})")
        if self.log and self.low <= 0:
            raise ValueError(f"low ({self.low}) must be positive where log is true")
        return self

    @property
    def whole(self) -> bool:
        """Whether values are whole numbers."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def holds(self, value: object) -> bool:
        """Whether a value lies in the range."""
        return isinstance(value, int | float) and self.low <= value <= self.high


Space = Mapping[str, Range | tuple[Value, ...]]

DEFAULT: dict[str, Range | tuple[Value, ...]] = {
    "retriever.learning_rate": Range(low=1e-3, high=3e-2, log=True),
    "retriever.max_rounds": (8, 12, 16, 24),
    "retriever.weight_decay": Range(low=1e-3, high=0.3, log=True),
    "retriever.dropout": Range(low=0.0, high=0.6),
    "retriever.id_dropout": Range(low=0.0, high=0.5),
    "retriever.objective.temperature": Range(low=0.03, high=0.2, log=True),
    "retriever.batch_size": (128, 256, 512),
    "retriever.dim": (64, 128, 256),
    "retriever.layers": Range(low=1, high=3),
}
"""Searched unless told otherwise."""


class TuneSettings(BaseModel):
    """What `aisle tune` tries."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    trials: int = Field(default=30, ge=1, description="recipes to try, those of earlier calls included")
    pruning: bool = Field(
        default=True,
        description="stop a recipe whose validation ndcg@10 is below the median of the others' same round",
    )
    space: dict[str, Range | tuple[Value, ...]] = Field(
        default=DEFAULT,
        description="values of each setting: {low = 0.001, high = 0.1, log = true} or a list; keys are "
        "those of retriever, such as retriever.dim",
    )
