"""What can be set about the cross-encoder."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from aisle.retriever.settings import EncoderSettings


class CrossEncoderSettings(BaseModel):
    """A language model over pairs of texts; its vector is joined with the features."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = Field(default=False, description="whether the best candidates are read once more")
    reads: Literal["both", "text"] = Field(
        default="both", description="the texts and the features, or the texts alone"
    )
    encoder: EncoderSettings = EncoderSettings(max_tokens=160)
    depth: int = Field(default=20, ge=2, description="candidates of each user that are read, best first")
    loss: Literal["bce", "listwise"] = Field(
        default="bce", description="purchase or not, pair by pair; or a softmax over each list"
    )
    positive_weight: float | None = Field(
        default=None, gt=0, description="of relevant pairs under bce; unset: as many as the others together"
    )
    negatives: int = Field(
        default=7, ge=1, description="other candidates that are read beside a relevant one"
    )
    lists: int = Field(default=2000, ge=2, description="lists that are learned from, at most")
    held_out: float = Field(
        default=0.25, gt=0, lt=1, description="share of the lists on which it is stopped and weighed"
    )
    adapter: Literal["none", "lora"] = Field(
        default="lora", description="train small matrices beside the weights, or the weights"
    )
    rank: int = Field(default=8, ge=1, description="of the adapter's matrices")
    frozen_layers: int = Field(default=0, ge=0, description="lowest layers that do not learn")
    hidden: int = Field(default=64, ge=1, description="width of the layer that joins text and features")
    dropout: float = Field(default=0.1, ge=0, lt=1, description="share of its values left out in training")
    learning_rate: float = Field(default=2e-5, gt=0, description="of AdamW, for the language model")
    head_learning_rate: float = Field(default=1e-3, gt=0, description="of AdamW, for what joins")
    weight_decay: float = Field(default=1e-5, ge=0, description="of AdamW")
    batch_lists: int = Field(default=8, ge=1, description="lists in a step")
    round_steps: int = Field(default=50, ge=1, description="steps between two validations")
    max_rounds: int = Field(default=10, ge=1, description="rounds, at most")
    patience: int = Field(default=2, ge=1, description="rounds without a better ndcg@10 before it stops")
