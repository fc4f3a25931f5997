"""A test as it was planned: who sees what, what is measured, and when it is decided."""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Literal, Self

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from aisle.data.documents import write_document
from aisle.data.errors import InputError
from aisle.eval.online.buckets import BUCKETS, arms, buckets
from aisle.eval.online.sequential import mixture_for
from aisle.eval.runs import id_kind, require_columns

Kind = Literal["mean", "proportion", "ratio"]
Looks = Literal["any", "once"]


class Metric(BaseModel):
    """What is compared, and what it was before the test."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind = Field(description="mean of a number a user, share of users, or ratio of two sums over users")
    value: str = Field("value", description="column of the number (of the numerator)")
    per: str | None = Field(None, description="column of the denominator of a ratio")
    past: str | None = Field(None, description="column of the same user's value before the test (CUPED)")
    baseline: float = Field(description="value without the change")
    variance: float = Field(gt=0, description="variance of one user's value, without what `past` foretells")
    correlation: float = Field(0.0, ge=-1, le=1, description="of value and past")


class Experiment(BaseModel):
    """A planned test, as `aisle abtest plan --out` writes it; the first arm is the control."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, description="also the salt that draws arms")
    layer: str = Field("shop", min_length=1, description="tests of one layer share no user")
    first_bucket: int = Field(0, ge=0, lt=BUCKETS, description="of the layer's 10,000")
    last_bucket: int = Field(BUCKETS - 1, ge=0, lt=BUCKETS, description="the last one that takes part")
    arms: dict[str, float] = Field(description="share of the users by arm, control first; 1 and 1 are halves")
    metric: Metric
    effect: float = Field(description="absolute difference that the test is made to find")
    alpha: float = Field(gt=0, lt=0.5, description="chance to see a difference where there is none")
    power: float = Field(ge=0.5, lt=1, description="chance to see `effect`")
    looks: Looks = Field(description="decided at any time, or once, when all users are there")
    users: dict[str, int] = Field(description="planned users by arm")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if len(self.arms) < 2 or not all(0 < share < float("inf") for share in self.arms.values()):
            raise ValueError("two arms or more are needed, each with a share above 0")
        if self.first_bucket > self.last_bucket:
            raise ValueError("first_bucket comes after last_bucket")
        if self.users.keys() != self.arms.keys():
            raise ValueError("users and arms name different arms")
        return self

    @property
    def control(self) -> str:
        """The arm that all others are compared with."""
        return next(iter(self.arms))

    def mixture(self, arm: str) -> float:
        """Variance of the mixture of :mod:`aisle.eval.online.sequential` for an arm against control.

        Narrowest when the planned users are there; with several arms, at the level of one comparison.
        """
        n = self.users
        variance = self.metric.variance * (1 / n[self.control] + 1 / n[arm])
        return mixture_for(variance, self.alpha / (len(self.arms) - 1))

    def write(self, path: Path) -> None:
        """As JSON, whole or not at all.

        Raises:
            InputError: there is no such folder.
        """
        write_document(path, self)

    @classmethod
    def read(cls, path: Path) -> "Experiment":
        """From JSON.

        Raises:
            InputError: no such file, or not a planned test.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise InputError(
                "a planned test", f"no file {path}", "write it with `aisle abtest plan --out`"
            ) from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise InputError(
                "a planned test, as `aisle abtest plan --out` writes it",
                f"{path}: {where + ': ' if where else ''}{first['msg']}",
                "plan it again",
            ) from error


def arms_of(experiment: Experiment, users: pl.Series) -> pl.Series:
    """The arm of each user, null for those who do not take part."""
    ids = users.cast(pl.String)
    in_layer = buckets(ids, experiment.layer)
    taking_part = (in_layer >= experiment.first_bucket) & (in_layer <= experiment.last_bucket)
    code = np.where(taking_part, arms(ids, experiment.name, list(experiment.arms.values())), -1)
    return pl.Series("arm", list(experiment.arms)).gather(pl.Series(code).set(pl.Series(code) < 0, None))


def assign(experiments: Sequence[Experiment], users: pl.DataFrame) -> pl.DataFrame:
    """Who sees what: user_id (String), test, arm, one row for each test that a user takes part in.

    Args:
        experiments: planned tests.
        users: with user_id; repeated ones are taken once.

    Raises:
        InputError: no column user_id, a null one, two tests of a name, or two of one layer that share
            buckets.
    """
    require_apart(experiments)
    require_columns(users, "user_id", what="table of users")
    id_kind(users, "user_id", "table of users")
    ids = users["user_id"].cast(pl.String).unique(maintain_order=True)
    return pl.concat(
        pl.DataFrame({"user_id": ids, "test": [one.name] * len(ids), "arm": arms_of(one, ids)}).filter(
            pl.col("arm").is_not_null()
        )
        for one in experiments
    )


def require_apart(experiments: Sequence[Experiment]) -> None:
    """Nothing, if all names differ and no two tests of a layer share a bucket.

    Raises:
        InputError: names the two.
    """
    for one, other in combinations(experiments, 2):
        if one.name == other.name:
            raise InputError(
                "tests of different names", f"two named {one.name!r}", "rename one: the name draws the arms"
            )
        if one.layer == other.layer and (
            one.first_bucket <= other.last_bucket and other.first_bucket <= one.last_bucket
        ):
            spans = [f"{test.name!r} has {test.first_bucket} to {test.last_bucket}" for test in (one, other)]
            raise InputError(
                f"tests in layer {one.layer!r} that share no bucket",
                " and ".join(spans),
                "plan one with other buckets (--buckets), or in a layer of its own if both may change the "
                "same user",
            )
