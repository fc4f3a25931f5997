"""`report.json` as types; docs/report.md describes it for readers in other languages."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from aisle.data.errors import InputError
from aisle.eval.leaks.finding import Leaks
from aisle.eval.report.context import Context

Outcome = Literal["better", "worse", "undecided"]
FLIPPED: dict[Outcome, Outcome] = {"better": "worse", "worse": "better", "undecided": "undecided"}


class Estimate(BaseModel):
    """A measured value and the interval that chance leaves it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    value: float = Field(description="mean over the users, or the value of all lists together")
    low: float | None = Field(
        description="low end of the bootstrap interval; null for measures of the catalogue"
    )
    high: float | None = Field(description="high end of the same")


class Comparison(BaseModel):
    """A paired test of two models on one measure."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    measure: str
    model: str
    other: str
    difference: float = Field(description="value of `model` minus value of `other`")
    low: float = Field(description="low end of the paired bootstrap interval of the difference")
    high: float = Field(description="high end of the same")
    p: float = Field(description="two-sided p-value of the paired permutation test")
    p_holm: float = Field(description="the same after Holm's correction over all comparisons of the report")
    p_bootstrap: float | None = Field(
        None, description="two-sided p-value of the paired bootstrap test, of users and, if several, seeds"
    )
    p_bootstrap_holm: float | None = Field(None, description="the same after Holm's correction")
    outcome: Outcome = Field(
        description="better or worse where p_holm and p_bootstrap_holm are below 1 - confidence"
    )

    def flipped(self) -> "Comparison":
        """The same comparison with the two models in the other order."""
        return self.model_copy(
            update={
                "model": self.other,
                "other": self.model,
                "difference": -self.difference,
                "low": -self.high,
                "high": -self.low,
                "outcome": FLIPPED[self.outcome],
            }
        )


class RunCounts(BaseModel):
    """What a run held."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: int = Field(description="rows of the run")
    users_without_results: int = Field(description="users of the truth whom the run leaves out; they score 0")
    users_ignored: int = Field(description="users of the run who are not in the truth")
    longest: int = Field(description="items of the longest list, counted down to the largest cut-off")
    items_outside: int | None = Field(
        description="distinct items outside the catalogue (they keep their places); null without its ids"
    )


class Slice(BaseModel):
    """What was measured on a part of the truth."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    users: int = Field(description="users of this part; the values are means over them")
    pairs: int = Field(description="pairs of such a user and a relevant item")
    models: dict[str, dict[str, Estimate]] = Field(description="model, tested measure, estimate")
    comparison: Comparison | None = Field(
        None,
        description="the two models of the verdict, tested on this part; p_holm is corrected over all parts",
    )


class Popularity(BaseModel):
    """How much of what is shown the most popular items take."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    k: int = Field(description="places of each list that count")
    catalogue: list[float] = Field(
        description="shares of the catalogue, its most popular items first, rising to 1"
    )
    wanted: list[float] = Field(
        description="for each of them the share of the relevant pairs with such an item"
    )
    models: dict[str, list[float]] = Field(description="model → for each of them the share of its places")


class Method(BaseModel):
    """How intervals and tests were made."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    confidence: float
    resamples: int
    permutations: int
    seed: int


class Sampled(BaseModel):
    """Metrics over samples, which are no estimates of those over all items; `notes` says what they do."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    negatives: int = Field(description="others among which each wanted item is ranked")
    models: dict[str, dict[str, float]] = Field(
        description="model, measure, value: the mean over all samples"
    )
    alone: dict[str, dict[str, float]] = Field(
        description="the same among all items: each wanted item by itself, as in the samples"
    )
    notes: list[str] = Field([], description="what sampling does to these values; in `warnings`, too")


class Report(Context):
    """Everything an evaluation found."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = Field(1, description="version of this form")
    protocol: dict[str, JsonValue] = Field(description="what was measured on, with its fingerprint")
    models: dict[str, dict[str, Estimate]] = Field(description="model, measure, estimate")
    primary: str = Field(description="the measure that orders the models and gives the verdict")
    ours: list[str] = Field(
        description="models that are no baselines: the one that is judged, then others, such as its parts"
    )
    comparisons: list[Comparison] = Field(description="all pairs of models on the tested measures")
    slices: dict[str, Slice] = Field(
        {}, description="parts of the truth that are reported apart, as far as the data tells them apart"
    )
    popularity: Popularity | None = Field(
        None, description="how popular is what is shown; null where popularity or catalogue were not given"
    )
    leaks: Leaks | None = Field(None, description="what leak checks found; null where none was made")
    runs: dict[str, RunCounts] = Field(description="what each run held")
    seeds: dict[str, dict[str, dict[str, float]]] = Field(
        {}, description="model, seed, tested measure, value: of models that were run under several seeds"
    )
    method: Method = Field(description="how intervals and tests were made")
    sampled: Sampled | None = Field(None, description="sampled metrics, where they were asked for")
    warnings: list[str] = Field(description="what a reader has to know before trusting the values")

    def with_context(self, context: Context) -> "Report":
        """This report with what the job around the evaluation knows; versions are added to those there."""
        known = {name: getattr(context, name) for name in context.model_fields_set}
        return self.model_copy(update=known | {"versions": self.versions | context.versions})

    def ranking(self) -> list[str]:
        """All models, from the largest value of the primary measure to the smallest."""
        return sorted(self.models, key=lambda model: -self.models[model][self.primary].value)

    def tested(self) -> list[str]:
        """The primary measure, then the others that were tested."""
        return list(dict.fromkeys([self.primary, *(test.measure for test in self.comparisons)]))

    def contest(self) -> tuple[str, str] | None:
        """The two models of the verdict: the first of ours and the best baseline.

        Where no model (or every model) is ours, the first and the second; None for a single model.
        """
        ranking = self.ranking()
        baselines = [model for model in ranking if model not in self.ours]
        if self.ours and baselines:
            return self.ours[0], baselines[0]
        return (ranking[0], ranking[1]) if len(ranking) > 1 else None

    def comparison(self, model: str, other: str, measure: str) -> Comparison | None:
        """The test of `model` against `other`, in this order; None if there was none."""
        for found in self.comparisons:
            if found.measure == measure:
                if (found.model, found.other) == (model, other):
                    return found
                if (found.model, found.other) == (other, model):
                    return found.flipped()
        return None

    def to_json(self) -> str:
        """The text of `report.json`."""
        return self.model_dump_json(indent=2) + "\n"

    @classmethod
    def read(cls, path: Path) -> "Report":
        """Read a `report.json`, or the one in a folder.

        Raises:
            InputError: there is none, or it is not of this form.
        """
        file = path / "report.json" if path.is_dir() else path
        if not file.is_file():
            raise InputError("a report", f"no file {file}", "run `aisle evaluate` first, or check the path")
        try:
            return cls.model_validate_json(file.read_bytes())
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"])) or "the whole file"
            raise InputError(
                "a report.json as docs/report.md describes it",
                f"{file}: {place}: {first['msg']}",
                "write it again with `aisle evaluate`",
            ) from error
