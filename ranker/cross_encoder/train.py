"""Training of the cross-encoder on the best candidates of labelled lists."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import Dataset
from transformers import EarlyStoppingCallback, TrainingArguments, set_seed

from aisle.data.ids import Rows
from aisle.data.progress import meter
from aisle.ranker.cross_encoder.model import PairModel
from aisle.ranker.cross_encoder.settings import CrossEncoderSettings
from aisle.ranker.cross_encoder.texts import PairTexts
from aisle.ranker.lists import Floats
from aisle.ranker.losses import LOSSES
from aisle.retriever.arithmetic import device, in_bf16, keep_freed_memory
from aisle.retriever.encoder import Encoder
from aisle.retriever.finetune.adapters import freeze, merged, with_adapter
from aisle.retriever.finetune.settings import FinetuneSettings
from aisle.retriever.rounds import METRIC, RoundsTrainer, arguments
from aisle.retriever.trainer import Watch

ADVICE = ("ranker.cross_encoder.learning_rate", "ranker.cross_encoder.head_learning_rate")


class PairLists(Dataset[int]):
    """Lists of pairs to learn from: a relevant one, and others that stand near it.

    Args:
        texts: of all pairs.
        values: normalised features of all pairs.
        first: scores over features of all pairs.
        labels: whether each pair is relevant.
        groups: places of the pairs of each list.
    """

    def __init__(
        self, texts: PairTexts, values: Floats, first: Floats, labels: NDArray[np.bool_], groups: list[Rows]
    ) -> None:
        self.texts, self.values, self.first, self.labels = texts, values, first, labels
        self.groups = groups

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, place: int) -> int:
        return int(place)

    def collate(self, places: list[int]) -> dict[str, Any]:
        """What the model reads of some lists, and the labels."""
        groups = [self.groups[place] for place in places]
        pairs = np.concatenate(groups)
        owner = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
        return {
            "tokens": self.texts.tokens(pairs),
            "values": torch.from_numpy(self.values[pairs]),
            "first": torch.from_numpy(self.first[pairs]),
            "labels": torch.from_numpy(self.labels[pairs].astype(np.float32)),
            "owner": torch.from_numpy(owner),
        }


class PairTrainer(RoundsTrainer):
    """Trains on some lists in a step; the language model more carefully than what joins."""

    def __init__(
        self,
        module: PairModel,
        dataset: PairLists,
        validation: Callable[[Any], float],
        arguments: TrainingArguments,
        settings: CrossEncoderSettings,
    ) -> None:
        super().__init__(module, dataset, validation, arguments)
        self.settings = settings

    def compute_loss(self, model: nn.Module, inputs: dict[str, Any], *_: Any, **__: Any) -> Tensor:
        """Loss of one batch."""
        labels = inputs["labels"]
        weight = self.settings.positive_weight or float((labels == 0).sum() / (labels > 0).sum().clamp(min=1))
        scores = model(inputs["tokens"], inputs["values"], inputs["first"]).float()
        return LOSSES[self.settings.loss](scores, labels, inputs["owner"], weight)

    def create_optimizer(self, *_: Any) -> torch.optim.Optimizer:
        """AdamW with two learning rates."""
        body = {id(weights) for weights in self.module.language_model.parameters()}  # type: ignore[union-attr]
        learning = [weights for weights in self.module.parameters() if weights.requires_grad]
        groups = [
            {"params": [one for one in learning if id(one) in body], "lr": self.settings.learning_rate},
            {
                "params": [one for one in learning if id(one) not in body],
                "lr": self.settings.head_learning_rate,
            },
        ]
        self.optimizer = torch.optim.AdamW(groups, weight_decay=self.settings.weight_decay)
        return self.optimizer


def train(
    encoder: Encoder,
    lists: PairLists,
    validation: Callable[[PairModel], float],
    settings: CrossEncoderSettings,
    folder: Path,
    *,
    seed: int,
) -> PairModel:
    """The model of the best round; a killed training goes on from its checkpoints in `folder`.

    Args:
        encoder: its language model learns in place.
        lists: to learn from.
        validation: ndcg@10 of a model.
        settings: the recipe.
        folder: for checkpoints.
        seed: of everything random.
    """
    keep_freed_memory()
    set_seed(seed)
    adapter = FinetuneSettings(adapter=settings.adapter, rank=settings.rank)
    encoder.model = with_adapter(encoder.model, adapter)
    freeze(encoder.model, settings.frozen_layers, "ranker.cross_encoder.frozen_layers")
    width = lists.values.shape[1] if settings.reads == "both" else 0
    model = PairModel(encoder, width, settings.hidden, settings.dropout).to(device())
    steps = settings.round_steps * settings.max_rounds
    asked = arguments(
        folder,
        steps=steps,
        round_steps=settings.round_steps,
        metric=METRIC,
        bf16=in_bf16(settings.encoder.precision, device()),
        seed=seed,
        per_device_train_batch_size=settings.batch_lists,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=min(settings.round_steps, steps // 10),
    )
    trainer = PairTrainer(model, lists, validation, asked, settings)
    trainer.add_callback(EarlyStoppingCallback(early_stopping_patience=settings.patience))
    with meter("training the cross-encoder", steps) as progress:
        trainer.add_callback(Watch(progress, ADVICE))
        trainer.run(folder, settings.patience)
    model.language_model = encoder.model = merged(encoder.model)
    return model.eval()
