"""The language model and the towers that read it, trained together; the language model is kept.

The towers' objective and recipe (`retriever.objective`, batch size, rounds, learning rate) train both; the
language model has a learning rate and a weight decay of its own. The towers are trained anew
afterwards, on the vectors of the language model as it came out.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from aisle.data.prepared import Part, Prepared
from aisle.data.settings import TextSettings
from aisle.retriever.arithmetic import keep_freed_memory
from aisle.retriever.batches import SequenceExamples, TextExamples
from aisle.retriever.encoder import Encoder
from aisle.retriever.finetune.adapters import merged, prepare
from aisle.retriever.finetune.reading import Reader
from aisle.retriever.finetune.settings import FinetuneSettings
from aisle.retriever.finetune.train import Tuned
from aisle.retriever.fit import ItemText, Job
from aisle.retriever.settings import RetrieverSettings, TowerKind
from aisle.retriever.task import Task
from aisle.retriever.teacher import Taught
from aisle.retriever.texts import item_texts
from aisle.retriever.towers import TwoTower
from aisle.retriever.trainer import TowerTrainer


class ReadingTask(Task):
    """Towers whose item texts are read in every step.

    Attributes:
        finetune: how the language model learns; set by whoever makes the task.
        read_round: the round at whose beginning the catalogue was read.
    """

    finetune = FinetuneSettings()
    read_round = -1

    def forward(
        self, examples: SequenceExamples | TextExamples, taught: Taught | None = None
    ) -> Float[Tensor, ""]:
        """Loss of a batch, as :class:`Task` has it."""
        self.reader.begin(_items_of(examples))
        return super().forward(examples, taught)

    def begin_round(self, number: int) -> None:
        """Read the catalogue as the language model has it now, then as :class:`Task`."""
        if number != self.read_round:
            self.read_round = number
            self.reader.refresh()
        super().begin_round(number)

    @property
    def reader(self) -> Reader:
        """What reads the texts."""
        reader = self.towers.items.reader
        if not isinstance(reader, Reader):
            raise TypeError("these towers have no reader of texts")
        return reader


class ReadingTrainer(TowerTrainer):
    """Trains a :class:`ReadingTask`; the language model's weights have a learning rate of their own."""

    def create_optimizer(self, model: torch.nn.Module | None = None) -> torch.optim.Optimizer:
        """The optimizer of the towers, with groups of their own for the language model's weights."""
        fresh = self.optimizer is None
        optimizer = super().create_optimizer(model)
        if fresh and isinstance(self.task, ReadingTask):
            asked = self.task.finetune
            language = {id(weights) for weights in self.task.reader.parameters()}
            for group in list(optimizer.param_groups):
                ours = [weights for weights in group["params"] if id(weights) in language]
                group["params"] = [weights for weights in group["params"] if id(weights) not in language]
                decay = asked.weight_decay if group["weight_decay"] else 0.0
                own = {"params": ours, "lr": asked.learning_rate, "weight_decay": decay}
                optimizer.add_param_group({**group, **own})
        return optimizer


@dataclass(frozen=True, kw_only=True)
class ReadingJob(Job):
    """A training of towers with the language model that reads for them.

    Attributes:
        language_model: in float32, ready for training.
    """

    language_model: Encoder
    trainer: ClassVar[type[TowerTrainer]] = ReadingTrainer

    @property
    def encoder(self) -> Encoder:
        """The language model that learns."""
        return self.language_model

    def item_text(self, parts: tuple[Part, ...]) -> ItemText:  # type: ignore[override]
        """No vectors yet: the reader makes them."""
        return ItemText(torch.zeros(len(self.prepared.item_ids), self.encoder.dim), "")

    def towers(self, kind: TowerKind, text: Tensor | None, known: Tensor) -> TwoTower:
        """Fresh towers with a reader."""
        towers = super().towers(kind, text, known)
        asked = self.settings.finetune
        texts = item_texts(self.prepared, self.text, "train")
        towers.items.reader = Reader(self.encoder, texts, limit=asked.live_texts, chunk=asked.chunk_texts)
        return towers

    def task(self, towers: TwoTower, counts: Tensor) -> Task:
        """What is asked of towers and language model."""
        task = ReadingTask.of(towers, counts, self.settings)
        if isinstance(task, ReadingTask):
            task.finetune = self.settings.finetune
        return task


def tune_with_towers(
    encoder: Encoder,
    prepared: Prepared,
    text: TextSettings,
    settings: RetrieverSettings,
    folder: Path,
    *,
    seed: int,
) -> Tuned:
    """Train the encoder's language model in place, with the main towers, until validation gets no better.

    Continues from the checkpoints of a killed run.

    Args:
        encoder: in float32; its adapter, if any, is merged at the end.
        prepared: the shop; events of train are learned from, those of validation decide when to stop.
        text: templates.
        settings: of the towers, and in `finetune` how the language model learns.
        folder: for checkpoints; made if need be.
        seed: of all that is random.

    Raises:
        InputError: nothing to train on, a model that cannot be trained so, or a loss that is not finite.
    """
    keep_freed_memory()
    encoder.model = prepare(encoder.model, settings.finetune)
    job = ReadingJob(prepared, text, settings, folder, seed, language_model=encoder)
    fit = job.search("two_tower", settings.towers[0], 0)
    encoder.model = merged(encoder.model).eval()
    steps = round(fit.epochs * job.epoch_steps(job.users.examples("train")))
    return Tuned(steps, None, fit.best, fit.curve)


def _items_of(examples: SequenceExamples | TextExamples) -> Int[Tensor, " n"]:
    """Item rows of the histories and of the targets."""
    if isinstance(examples, TextExamples):
        return examples.target_rows
    past = examples.histories
    inside = torch.arange(past.items.shape[1], device=past.items.device) < past.lengths[:, None]
    return torch.cat([past.items[inside], examples.target_rows])
