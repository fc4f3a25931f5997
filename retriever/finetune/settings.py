"""What can be set about fine-tuning the language model on behaviour."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

OF_PAIRS = (
    "pairs",
    "max_history",
    "window",
    "user_balance",
    "item_balance",
    "warmup_steps",
    "temperature",
    "batch_size",
    "accumulation",
    "round_steps",
    "max_rounds",
    "patience",
    "validation_users",
    "validation_items",
)
"""What steers the training on pairs alone; with towers, their own recipe does."""

PairKind = Literal["same_user", "next_item", "query_product"]
Adapter = Literal["none", "lora", "dora", "loha", "lokr", "ia3"]


class FinetuneSettings(BaseModel):
    """The language model learns which items users take together, before the towers are trained."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = Field(default=False, description="fine-tune the language model before the towers")
    through: Literal["pairs", "towers"] = Field(
        default="pairs",
        description="pairs: the language model alone, on texts that belong together; towers: with the towers "
        "that read it, by their objective and their recipe (batch_size, rounds, ...), of which the "
        "language model is kept",
    )
    live_texts: int = Field(
        default=0,
        ge=0,
        description="towers: texts of histories and targets that a step reads with a gradient; others keep "
        "the vector that they had at the beginning of the round; 0: every text that a step needs, the whole "
        "catalogue under a full softmax",
    )
    pairs: tuple[PairKind, ...] = Field(
        default=("same_user", "query_product"),
        min_length=1,
        description="what belongs together: items of one user, an item and the user's next one, a search and "
        "the item that the user went on to take",
    )
    max_history: int = Field(
        default=50, ge=2, description="most recent items of a user of which pairs are made"
    )
    window: int = Field(
        default=10, ge=1, description="same_user: pairs at most this many steps of the history apart"
    )
    user_balance: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="a user with n pairs is drawn n ** (1 - user_balance) times as often as one with a "
        "single pair: 0 counts pairs, 1 counts users",
    )
    item_balance: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="a pair's chance is divided by the popularity of its second item to this power",
    )
    adapter: Adapter = Field(
        default="none",
        description="train every weight (none), or only an adapter of this kind, merged into the weights "
        "afterwards; adapters want about ten times the learning rate",
    )
    rank: int = Field(default=8, ge=1, description="rank of an adapter; ia3 has none")
    frozen_layers: int = Field(
        default=0, ge=0, description="lowest layers that keep their weights, with the embeddings below them"
    )
    dropout: float | None = Field(
        default=None, ge=0, lt=1, description="dropout in the language model; none: as it was pre-trained"
    )
    learning_rate: float = Field(default=2e-5, gt=0, description="of AdamW, constant after the warm-up")
    weight_decay: float = Field(default=0.01, ge=0, description="of AdamW (L2, decoupled)")
    warmup_steps: int = Field(default=50, ge=0, description="steps over which the learning rate rises")
    temperature: float = Field(
        default=0.05, gt=0, description="cosines are divided by it before the softmax over the batch"
    )
    batch_size: int = Field(default=128, ge=2, description="pairs that compete with each other in one step")
    accumulation: int = Field(
        default=1, ge=1, description="batches whose gradients make one step; they do not compete"
    )
    chunk_texts: int = Field(
        default=0,
        ge=0,
        description="texts of a batch in memory at once, read again for the gradient (GradCache), for "
        "batches larger than memory; 0: all",
    )
    gradient_checkpointing: bool = Field(
        default=False, description="compute layers again for the gradient: less memory, a third more time"
    )
    round_steps: int = Field(default=50, ge=1, description="steps of a round, which ends with a validation")
    max_rounds: int = Field(default=20, ge=1, description="rounds at most")
    patience: int = Field(
        default=3, ge=1, description="rounds without a better validation ndcg@10 before stopping"
    )
    validation_users: int = Field(
        default=1000, ge=1, description="users of the validation part, drawn at random, that decide"
    )
    validation_items: int = Field(
        default=10_000,
        ge=10,
        description="items, drawn at random, that compete in a validation beside those that the users know",
    )

    @model_validator(mode="after")
    def _every_setting_does_something(self) -> "FinetuneSettings":
        idle = OF_PAIRS if self.through == "towers" else ("live_texts",)
        changed = [
            name for name in idle if getattr(self, name) != type(self).model_fields[name].get_default()
        ]
        if changed:
            other = "pairs" if self.through == "towers" else "towers"
            raise ValueError(f"{' and '.join(changed)}: only with through = '{other}'")
        return self
