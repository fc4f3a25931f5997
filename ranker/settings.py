"""What can be set about ranking."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from aisle.ranker.cross_encoder.settings import CrossEncoderSettings
from aisle.ranker.sentiment.settings import SentimentSettings

ScorerKind = Literal["boosting", "network"]


class PairSettings(BaseModel):
    """Which pairs the ranker learns from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    depth: int = Field(default=100, ge=2, description="candidates of each user that are learned from")
    random_negatives: int = Field(
        default=0, ge=0, description="items drawn at random that join each list, beside the candidates"
    )
    missed: Literal["join", "skip"] = Field(
        default="skip",
        description="relevant items that are not among the candidates: join the list, or are left out",
    )


class BoostingSettings(BaseModel):
    """Boosted trees (LightGBM)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    objective: Literal["lambdarank", "rank_xendcg", "binary"] = Field(
        default="lambdarank", description="what the trees minimise"
    )
    trees: int = Field(default=100, ge=1, description="number of trees")
    leaves: int = Field(default=7, ge=2, description="leaves of a tree")
    learning_rate: float = Field(default=0.05, gt=0, description="by which each tree's answer is multiplied")
    smallest_leaf: int = Field(default=100, ge=1, description="pairs in a leaf, at least")
    columns: float = Field(default=0.5, gt=0, le=1, description="share of the features that each tree sees")
    rows: float = Field(default=0.8, gt=0, le=1, description="share of the pairs that each tree sees")
    l2: float = Field(default=10.0, ge=0, description="penalty of the leaves' values")


class NetworkSettings(BaseModel):
    """A small network over normalised features."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    loss: Literal["bce", "listwise"] = Field(
        default="listwise", description="purchase or not, pair by pair; or a softmax over each list"
    )
    positive_weight: float | None = Field(
        default=None, gt=0, description="of relevant pairs under bce; unset: as many as the others together"
    )
    hidden: tuple[int, ...] = Field(default=(32,), description="widths of the hidden layers")
    dropout: float = Field(default=0.2, ge=0, lt=1, description="share of hidden values left out in training")
    learning_rate: float = Field(default=3e-3, gt=0, description="of AdamW")
    weight_decay: float = Field(default=1e-2, ge=0, description="of AdamW")
    batch_lists: int = Field(default=64, ge=1, description="lists in a step")
    epochs: int = Field(default=20, ge=1, description="passes over the lists, at most")
    patience: int = Field(default=3, ge=1, description="epochs without a better ndcg@10 before it stops")


class StudentSettings(BaseModel):
    """A small network that learns the order of the whole ranker, the cross-encoder's included."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = Field(
        default=False, description="whether one is trained beside the ranker (`aisle rank --student`)"
    )
    left_out: tuple[str, ...] = Field(
        default=(), description="groups of features that it does not read, beside those that nobody reads"
    )
    hidden: tuple[int, ...] = Field(
        default=(16,), description="widths of its hidden layers; all else is as in ranker.network"
    )
    lists: int = Field(
        default=2000, ge=20, description="lists that a cross-encoder reads to teach it, at most"
    )


class RankerSettings(BaseModel):
    """How candidates are put in order."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = Field(default=False, description="whether `aisle run` trains a ranker and ranks with it")
    scorers: tuple[ScorerKind, ...] = Field(
        default=("boosting", "network"),
        min_length=1,
        description="what orders candidates by their features; of several, their mean",
    )
    left_out: tuple[str, ...] = Field(
        default=(), description="groups of features that are left out, such as sentiment"
    )
    refit: bool = Field(
        default=True,
        description="refit the retriever one step back, as the run's own is; without, half the time",
    )
    folds: int = Field(
        default=5, ge=2, description="parts of the users, each scored by what learned on others"
    )
    pairs: PairSettings = PairSettings()
    boosting: BoostingSettings = BoostingSettings()
    network: NetworkSettings = NetworkSettings()
    cross_encoder: CrossEncoderSettings = CrossEncoderSettings()
    student: StudentSettings = StudentSettings()
    sentiment: SentimentSettings = SentimentSettings()
