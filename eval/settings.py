"""What can be set about evaluation."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from aisle.eval.metrics.measure import CATALOGUE_METRICS, NEITHER, USER_METRICS, Measure, parse

CutOff = Annotated[int, Field(ge=1)]


def _nearest_to_ten(known: Mapping[str, Any]) -> tuple[str, ...]:
    """What is tested where nobody says: ndcg and recall at the cut-off that is nearest to 10.

    Where neither is measured, the first metric that can be tested; (ndcg, to be refused) without any.

    >>> _nearest_to_ten({"k": (5, 20), "metrics": ("recall", "ndcg")})
    ('ndcg@5', 'recall@5')
    >>> _nearest_to_ten({"k": (10,), "metrics": ("coverage", "mrr", "map")})
    ('mrr@10',)
    """
    k = min(known.get("k", (10,)), key=lambda k: (abs(k - 10), k))
    names = known.get("metrics", ("ndcg", "recall"))
    able = [name for name in names if name in USER_METRICS and name not in NEITHER]
    chosen = [name for name in ("ndcg", "recall") if name in able] or able[:1] or ["ndcg"]
    return tuple(f"{name}@{k}" for name in chosen)


class EvaluateSettings(BaseModel):
    """Metrics, cut-offs and how sure the report wants to be."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    metrics: tuple[str, ...] = Field(
        (
            *(
                "recall",
                "ndcg",
                "mrr",
                "hit_rate",
                "precision",
                "map",
                "r_precision",
                "auc",
                "coverage",
                "gini",
            ),
            *("novelty", "diversity", "serendipity", "popularity_bias", "miscalibration"),
        ),
        description="metrics by name; those that need the catalogue (`auc`, `coverage`, `gini`), the "
        "popularity of its items (`novelty`, `serendipity`, `popularity_bias`), their vectors (`diversity`) "
        "or categories and the past (`miscalibration`) are left out where that is not given",
    )
    k: tuple[CutOff, ...] = Field((1, 5, 10, 20, 50, 100), description="cut-offs of every metric")
    primary: str = Field(
        default_factory=lambda known: _nearest_to_ten(known)[0],
        description="the measure that orders the models and gives the verdict; unless it is set, at the "
        "cut-off of `k` that is nearest to 10",
    )
    tested: tuple[str, ...] = Field(
        default_factory=lambda known: _nearest_to_ten(known),
        description="measures on which every pair of models is compared by a test; the same holds",
    )
    confidence: float = Field(
        0.95, gt=0.5, lt=1, description="level of all intervals; tests reject at 1 - confidence"
    )
    resamples: int = Field(1000, ge=100, description="bootstrap resamples of the users")
    examples: int = Field(
        6, ge=0, description="users that the report shows, with what they were shown and what they wanted"
    )
    permutations: int = Field(10_000, ge=100, description="random sign flips of a permutation test")

    sampled_negatives: int = Field(
        0,
        ge=0,
        description="also report recall, ndcg and mrr of each wanted item among so many others drawn at "
        "random, and what that does to the numbers; 0 does not",
    )

    @field_validator("metrics")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            parse(f"{name}@1")
        return tuple(dict.fromkeys(names))

    @field_validator("k")
    @classmethod
    def _ascending(cls, cut_offs: tuple[int, ...]) -> tuple[int, ...]:
        if not cut_offs:
            raise ValueError("at least one cut-off is needed")
        return tuple(sorted(set(cut_offs)))

    @model_validator(mode="after")
    def _measured(self) -> "EvaluateSettings":
        measured = [str(measure) for measure in self.user_measures]
        for name in (self.primary, *self.tested):
            if name not in measured:
                raise ValueError(f"{name} is not measured per user: choose one of {', '.join(measured)}")
            if parse(name).metric in NEITHER:
                raise ValueError(f"more {parse(name).metric} is neither better nor worse: it decides nothing")
        return self

    @property
    def user_measures(self) -> tuple[Measure, ...]:
        """Measures with one score a user."""
        return tuple(Measure(name, k) for name in self.metrics if name in USER_METRICS for k in self.k)

    @property
    def catalogue_measures(self) -> tuple[Measure, ...]:
        """Measures of all lists together."""
        return tuple(Measure(name, k) for name in self.metrics if name in CATALOGUE_METRICS for k in self.k)
