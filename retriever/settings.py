"""What can be set about the two towers."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from aisle.retriever.finetune.settings import FinetuneSettings

MINILM = "sentence-transformers/all-MiniLM-L6-v2"


Reporter = Literal["tensorboard", "wandb"]
"""Where the curves of a training can be watched."""

Precision = Literal["auto", "fp32", "bf16"]
"""Arithmetic of a model; auto: bf16 where the processor has instructions for it, else fp32."""

Arithmetic = Literal["auto", "fp32", "bf16", "fp16", "int8"]
"""Arithmetic of a language model that is read with; auto: the fastest that keeps its vectors."""

Backend = Literal["torch", "openvino"]
"""Who computes where a language model is read with."""

Pooling = Literal["mean", "cls", "last_token", "max"]
"""How the states of a text's tokens become one vector."""

Input = Literal["ratings", "gaps", "recency"]
"""What the sequence tower is told of an event besides its item, kind and place."""


class EncoderSettings(BaseModel):
    """The language model that reads products and behaviour."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field(default=MINILM, description="Hugging Face name or local folder of an encoder")
    pooling: Literal["auto"] | Pooling = Field(
        default="auto",
        description="tokens to one vector; auto: as the model's folder says (1_Pooling), else mean",
    )
    max_tokens: int = Field(default=128, ge=8, description="longest text, in tokens; the rest is cut")
    dim: int | None = Field(
        default=None,
        ge=1,
        description="numbers of a vector that are kept, the first ones: for models that were trained for it "
        "(Matryoshka); unset: all",
    )
    batch_tokens: int = Field(
        default=2048,
        ge=64,
        description="tokens in one batch of texts, padding included; on a GPU 32 x as many",
    )
    precision: Arithmetic = Field(
        default="auto",
        description="arithmetic of the language model; auto: the fastest one of this machine whose vectors "
        "are within a cosine of 0.999 of float32's, on a sample of the texts; int8: with openvino alone; "
        "fp16: on a GPU alone",
    )
    backend: Backend = Field(
        default="torch",
        description="who computes on a CPU; openvino is faster on some processors and needs "
        "`pip install 'aisle[openvino]'`",
    )

    @model_validator(mode="after")
    def _can_be_computed(self) -> "EncoderSettings":
        if self.precision == "int8" and self.backend != "openvino":
            raise ValueError("precision = 'int8': only with backend = 'openvino'")
        if self.precision == "fp16" and self.backend == "openvino":
            raise ValueError("precision = 'fp16': only with backend = 'torch', on a GPU")
        return self


class ObjectiveSettings(BaseModel):
    """What training asks of the towers: which items compete with the relevant one, and how."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["auto", "full_softmax", "sampled_softmax", "in_batch"] = Field(
        default="auto", description="auto: full softmax up to full_softmax_limit items, else sampled softmax"
    )
    full_softmax_limit: int = Field(
        default=15_000, ge=1, description="largest catalogue for which auto takes full_softmax"
    )
    negatives: int = Field(default=4096, ge=1, description="items drawn for a step of sampled_softmax")
    popular_share: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="share of them drawn by how often they are targets; the others are uniform",
    )
    batch_negatives: bool = Field(
        default=False, description="sampled_softmax: the targets of other users are negatives too"
    )
    frequency: Literal["counted", "streaming"] = Field(
        default="counted",
        description="how often a target is expected in a batch (logQ): by its count in training, or by the "
        "steps between its appearances",
    )
    frequency_rate: float = Field(
        default=0.05, gt=0, le=1, description="streaming: weight of the newest interval"
    )
    hard_negatives: int = Field(
        default=0,
        ge=0,
        description="sampled_softmax: each target's own negatives, mined among the nearest items in an index "
        "that is built anew every round",
    )
    hard_pool: int = Field(
        default=100, ge=1, description="nearest items among which hard negatives are looked for"
    )
    hard_margin: float = Field(
        default=0.05,
        description="hard negatives score less than the target by at least this similarity; what scores more "
        "may be relevant itself",
    )
    temperature: float = Field(default=0.07, gt=0, description="scores are divided by it before the softmax")
    learn_temperature: bool = Field(
        default=False, description="temperature is where learning begins, and is learned with the towers"
    )
    matryoshka: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        default=(), description="lengths below retriever.dim at which prefixes of the vectors are trained too"
    )
    teacher: Path | None = Field(
        default=None,
        description="Parquet file of a teacher's scores (user_id, item_id, score) to learn from as well",
    )
    teacher_weight: float = Field(default=1.0, gt=0, description="weight of the loss against the teacher")
    teacher_loss: Literal["kl", "margin_mse"] = Field(
        default="kl",
        description="kl: softmax over each user's scored items; margin_mse: differences of scores",
    )

    @model_validator(mode="after")
    def _every_setting_does_something(self) -> "ObjectiveSettings":
        of_sampling = {
            "popular_share": self.popular_share,
            "batch_negatives": self.batch_negatives,
            "hard_negatives": self.hard_negatives,
        }
        idle = [name for name, value in of_sampling.items() if value and self.kind != "sampled_softmax"]
        if idle:
            raise ValueError(f"{' and '.join(idle)}: only with kind = 'sampled_softmax'")
        if self.frequency == "streaming" and not (self.kind == "in_batch" or self.batch_negatives):
            raise ValueError("frequency = 'streaming': only with kind = 'in_batch' or with batch_negatives")
        return self


TowerKind = Literal["hybrid", "ids", "text"]
"""What item vectors come from: text and events, events alone, text alone."""


class PretrainSettings(BaseModel):
    """Language modelling on the shop's own text, before anything else is trained."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = Field(
        default=False, description="part of `aisle run`; towers then read texts with the pre-trained model"
    )
    from_scratch: bool = Field(
        default=False,
        description="new model and tokenizer, for languages that encoder.model does not know; else that one "
        "is trained further",
    )
    objective: Literal["masked", "causal"] = Field(
        default="masked",
        description="from scratch: masked words in a model of BERT's kind, or the next token in one of "
        "GPT-2's; encoder.model keeps its own",
    )
    vocabulary_size: int = Field(default=16_000, ge=64, description="from scratch: entries of the tokenizer")
    layers: int = Field(default=4, ge=1, description="from scratch: transformer layers")
    hidden: int = Field(default=256, ge=8, description="from scratch: length of token states")
    mask_share: float = Field(default=0.15, gt=0, lt=1, description="share of whole words that are predicted")
    steps: int = Field(default=5000, ge=1, description="steps at most")
    batch_size: int = Field(default=32, ge=1, description="texts in one step")
    learning_rate: float = Field(default=1e-4, gt=0, description="of AdamW, falling to 0 over the steps")
    weight_decay: float = Field(default=0.01, ge=0, description="of AdamW")
    warmup_steps: int = Field(default=200, ge=0, description="steps over which the learning rate rises")
    round_steps: int = Field(default=250, ge=1, description="steps between two looks at the held-out texts")
    patience: int = Field(default=3, ge=1, description="rounds without a lower perplexity before stopping")
    held_out_share: float = Field(default=0.05, gt=0, lt=1, description="share of texts held out")
    held_out_texts: int = Field(default=2000, ge=1, description="texts held out at most")
    precision: Precision = Field(
        default="auto", description="arithmetic; auto: bf16 where the processor computes in it"
    )


class RetrieverSettings(BaseModel):
    """Item tower, user tower, and how they are trained."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    encoder: EncoderSettings = EncoderSettings()
    pretrain: PretrainSettings = PretrainSettings()
    user_tower: Literal["sequence", "text", "both"] = Field(
        default="sequence",
        description="sequence: a causal transformer over item vectors; text: the language model over "
        "the history; both: the sum of the two",
    )
    towers: tuple[TowerKind, ...] = Field(
        default=("hybrid",),
        min_length=1,
        description="two-tower models that are trained, the main one first; item vectors of hybrid: from the "
        "item's text, and a free vector learned from its events; text: from the text alone; ids: free alone",
    )
    text_similarity: bool = Field(
        default=True,
        description="items that read like those of a history are a source, too, where a tower reads texts",
    )
    words: bool = Field(
        default=True,
        description="items that share words with those of a history (BM25) are a source, too, where a tower "
        "reads texts",
    )
    words_limit: int = Field(
        default=100_000,
        ge=1,
        description="largest catalogue whose words are a source: every text is held against all others",
    )
    co_occurrence: bool = Field(
        default=True, description="what users had soon after the items of a history is a source, too"
    )
    id_buckets: int | None = Field(
        default=None,
        ge=2,
        description="free vectors that all items share, two of them summed for each item, so that their "
        "number does not grow with the catalogue; none: each item has its own",
    )
    id_dropout: float = Field(
        default=0.1,
        ge=0,
        lt=1,
        description="share of free vectors left out in each step, so that the text carries new items",
    )
    dim: int = Field(default=128, ge=2, description="length of item and user vectors")
    layers: int = Field(default=1, ge=1, description="transformer layers of the sequence tower")
    heads: int = Field(default=2, ge=1, description="attention heads; divides dim")
    dropout: float = Field(default=0.2, ge=0, lt=1, description="dropout in both towers")
    inputs: tuple[Input, ...] = Field(
        default=("ratings", "gaps", "recency"),
        description="what the sequence tower is told of an event besides item, kind and place, where the "
        "data has it; ratings: its stars; gaps: time since the user's event before; recency: time until "
        "the next event or, after the last one, until the moment of prediction, which only a split by "
        "time knows",
    )
    max_history: int = Field(default=50, ge=1, description="most recent events of a user that the towers see")
    similarity: Literal["cosine", "dot"] = Field(default="cosine", description="how a user meets an item")
    objective: ObjectiveSettings = ObjectiveSettings()
    finetune: FinetuneSettings = FinetuneSettings()
    precision: Precision = Field(
        default="auto", description="arithmetic of training; auto: bf16 where the processor computes in it"
    )
    batch_size: int = Field(default=256, ge=1, description="users in one step")
    learning_rate: float = Field(
        default=6e-3, gt=0, description="of AdamW after the warm-up; falls to zero over max_rounds"
    )
    weight_decay: float = Field(default=0.01, ge=0, description="of AdamW")
    warmup_steps: int = Field(
        default=100, ge=0, description="steps over which the learning rate rises to its value"
    )
    round_steps: int = Field(
        default=35, ge=1, description="a round lasts an epoch, or this many steps where an epoch is shorter"
    )
    max_rounds: int = Field(default=12, ge=1, description="rounds at most; each ends with a validation")
    patience: int = Field(
        default=5, ge=1, description="rounds without a better validation ndcg@10 before stopping"
    )
    report_to: tuple[Reporter, ...] = Field(
        default=(),
        description="where training curves go while it runs: tensorboard (event files in OUT/logs), wandb",
    )
    refit: bool = Field(
        default=True,
        description="train anew on train + validation for the chosen number of epochs (protocol S3)",
    )
    text_examples: int = Field(
        default=2,
        ge=1,
        description="user towers text and both: most recent purchases of each user before which the history "
        "is read in training",
    )

    @property
    def reads_histories(self) -> bool:
        """Whether the language model reads histories, and not only items."""
        return self.user_tower != "sequence"

    @model_validator(mode="after")
    def _hangs_together(self) -> "RetrieverSettings":
        if self.dim % self.heads:
            raise ValueError(f"heads ({self.heads}) must divide dim ({self.dim})")
        if any(length >= self.dim for length in self.objective.matryoshka):
            raise ValueError(f"lengths of objective.matryoshka must be below dim ({self.dim})")
        if self.finetune.enabled and self.finetune.through == "towers":
            if self.reads_histories:
                raise ValueError("finetune.through = 'towers': only with user_tower = 'sequence'")
            if self.towers[0] == "ids":
                raise ValueError("finetune.through = 'towers': the first of towers has to read texts")
        return self

    @property
    def shares_words(self) -> bool:
        """Whether words of the items are a source."""
        return self.words and any(kind != "ids" for kind in self.towers)

    @property
    def reads_text(self) -> bool:
        """Whether a language model is needed."""
        return self.reads_histories or any(kind != "ids" for kind in self.towers)
