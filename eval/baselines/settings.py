"""What can be set about baselines: which, and the grids that validation chooses from."""

from collections.abc import Sequence
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

Name = Literal[
    "popularity", "recent_popularity", "item_knn", "item_knn_bm25", "als", "bpr", "logistic_mf", "bm25"
]
Listed = Name | Literal["encoder", "sasrec"]
Evidence = Literal["target", "all"]

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]


class Grid(BaseModel):
    """Values to try of each setting of a baseline.

    The first value of each is the start, and is taken where there is nothing to validate on. The settings are
    searched in the order in which they stand here, again and again until nothing changes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    def axes(self) -> dict[str, Sequence[float]]:
        """Values by name of the setting."""
        return {name: getattr(self, name) for name in type(self).model_fields}


class PopularityGrid(Grid):
    """Popularity has no settings."""


class RecentPopularityGrid(Grid):
    """Recent popularity."""

    half_life: tuple[Positive, ...] = Field(
        default=(30, 1, 3, 7, 14, 90, 365), min_length=1, description="days after which an event counts half"
    )
    window: tuple[NotNegative, ...] = Field(
        default=(0, 1, 7, 30), min_length=1, description="days before the last event that count; 0: all"
    )


class ItemKnnGrid(Grid):
    """Item-kNN by cosine."""

    shrink: tuple[NotNegative, ...] = Field(
        default=(20, 0, 5, 50, 200), min_length=1, description="added to the denominator of the cosine"
    )
    decay: tuple[Share, ...] = Field(
        default=(0.8, 0.4, 0.6, 1.0),
        min_length=1,
        description="weight of an event for each step back",
    )
    neighbours: tuple[Count, ...] = Field(
        default=(500,), min_length=1, description="most similar items kept of each item"
    )


class ItemKnnBm25Grid(Grid):
    """Item-kNN by BM25."""

    decay: tuple[Share, ...] = Field(
        default=(0.8, 0.4, 0.6, 1.0),
        min_length=1,
        description="weight of an event for each step back",
    )
    b: tuple[Share, ...] = Field(
        default=(0.4, 0.1, 0.2, 0.75), min_length=1, description="how much an item's popularity damps it"
    )
    k1: tuple[Positive, ...] = Field(
        default=(1.2, 0.5, 10, 100), min_length=1, description="how late counts saturate"
    )
    neighbours: tuple[Count, ...] = Field(
        default=(500,), min_length=1, description="most similar items kept of each item"
    )


class AlsGrid(Grid):
    """iALS."""

    alpha: tuple[Positive, ...] = Field(
        default=(10, 3, 40), min_length=1, description="weight of an event; a pair without one weighs 1"
    )
    regularization: tuple[NotNegative, ...] = Field(
        default=(1.0, 0.1, 10.0), min_length=1, description="weight of the squared norms"
    )
    iterations: tuple[Count, ...] = Field(
        default=(10,), min_length=1, description="passes over users and items"
    )
    factors: tuple[Count, ...] = Field(
        default=(128, 256, 512), min_length=1, description="length of the vectors"
    )


class BprGrid(Grid):
    """BPR."""

    learning_rate: tuple[Positive, ...] = Field(default=(0.05, 0.1), min_length=1, description="step size")
    regularization: tuple[NotNegative, ...] = Field(
        default=(0.01, 0.002, 0.05), min_length=1, description="weight of the squared norms"
    )
    iterations: tuple[Count, ...] = Field(
        default=(100,), min_length=1, description="passes over the events, each against random items"
    )
    factors: tuple[Count, ...] = Field(default=(128,), min_length=1, description="length of the vectors")


class LogisticMfGrid(Grid):
    """Logistic MF."""

    learning_rate: tuple[Positive, ...] = Field(
        default=(1.0, 0.3), min_length=1, description="step size of AdaGrad"
    )
    regularization: tuple[NotNegative, ...] = Field(
        default=(0.6, 0.1, 3.0), min_length=1, description="weight of the squared norms"
    )
    neg_prop: tuple[Count, ...] = Field(
        default=(30, 10), min_length=1, description="random items that an event is held against"
    )
    iterations: tuple[Count, ...] = Field(default=(30,), min_length=1, description="passes over the events")
    factors: tuple[Count, ...] = Field(default=(64,), min_length=1, description="length of the vectors")


class SasrecGrid(Grid):
    """SASRec: the sequence tower over free item vectors alone."""

    learning_rate: tuple[Positive, ...] = Field(
        default=(6e-3, 2e-3), min_length=1, description="of AdamW after the warm-up"
    )
    dropout: tuple[Share, ...] = Field(
        default=(0.2, 0.4), min_length=1, description="dropout in the tower, below 1"
    )
    temperature: tuple[Positive, ...] = Field(
        default=(0.07, 0.12), min_length=1, description="scores are divided by it before the softmax"
    )
    weight_decay: tuple[NotNegative, ...] = Field(default=(0.01, 0.1), min_length=1, description="of AdamW")
    layers: tuple[Count, ...] = Field(default=(1, 2), min_length=1, description="transformer layers")
    dim: tuple[Count, ...] = Field(default=(128, 64), min_length=1, description="length of the vectors")


class TextSearchGrid(Grid):
    """BM25 over texts."""

    decay: tuple[Share, ...] = Field(
        default=(0.5, 0, 0.25, 0.8), min_length=1, description="weight of an event for each step back"
    )
    b: tuple[Share, ...] = Field(
        default=(0.75, 0.4), min_length=1, description="how much the length of a text damps it"
    )
    k1: tuple[Positive, ...] = Field(
        default=(1.5, 0.8), min_length=1, description="how late word counts saturate"
    )


class BaselineSettings(BaseModel):
    """Which baselines run, and how they are tuned."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    names: tuple[Listed, ...] = Field(
        default=(*get_args(Name), "encoder"),
        description="baselines to run, in this order; `sasrec` (only if it is named) a sequence tower over "
        "ids that is trained in every trial, `encoder` the untouched language model: these two come last",
    )
    tuning_users: Count = Field(
        default=10_000,
        description="users of the validation part on which a point of a grid is judged (a sample)",
    )
    evidence: tuple[Evidence, ...] = Field(
        default=("target", "all"),
        min_length=1,
        description="events to learn from: of the target kinds, or of all kinds; searched like a grid",
    )
    trials: Count = Field(
        default=12,
        description="points that are tried of every baseline's grid, or all where it has fewer: one budget "
        "for all",
    )
    passes: Count = Field(
        default=3, description="most passes over the settings of a grid; fewer where one changes nothing"
    )
    threads: int = Field(default=0, ge=0, description="threads of implicit; 0: all cores")
    popularity: PopularityGrid = PopularityGrid()
    recent_popularity: RecentPopularityGrid = RecentPopularityGrid()
    item_knn: ItemKnnGrid = ItemKnnGrid()
    item_knn_bm25: ItemKnnBm25Grid = ItemKnnBm25Grid()
    als: AlsGrid = AlsGrid()
    bpr: BprGrid = BprGrid()
    logistic_mf: LogisticMfGrid = LogisticMfGrid()
    bm25: TextSearchGrid = TextSearchGrid()
    sasrec: SasrecGrid = SasrecGrid()
