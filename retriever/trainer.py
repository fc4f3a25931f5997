"""Training of towers: a contrastive objective, and batches of users with histories of similar length."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Sampler
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from aisle.data.errors import InputError
from aisle.data.progress import Meter
from aisle.retriever import processes
from aisle.retriever.batches import SequenceDataset, TextDataset
from aisle.retriever.rounds import RoundsTrainer
from aisle.retriever.sampler import EpochSampler
from aisle.retriever.task import Task
from aisle.retriever.teacher import Lessons
from aisle.retriever.towers import TwoTower


class TowerTrainer(RoundsTrainer):
    """Trains towers on examples of users; batches hold users of similar history length.

    Args:
        task: the towers and what is asked of them.
        dataset: examples of users.
        validation: ndcg@10 of towers; None for a training of a fixed length.
        arguments: of transformers; `save_steps` are the steps of a round.
        schedule: steps over which the learning rate falls to zero; a training may end before.
        lessons: users with a teacher's scores, for each step; None without a teacher.
    """

    def __init__(
        self,
        task: Task,
        dataset: SequenceDataset | TextDataset,
        validation: Callable[[TwoTower], float] | None,
        arguments: TrainingArguments,
        *,
        schedule: int,
        lessons: Lessons | None = None,
    ) -> None:
        super().__init__(
            task, dataset, (lambda task: validation(task.towers)) if validation else None, arguments
        )
        self.task = task
        self.schedule = schedule
        self.lessons = lessons
        self.lengths = dataset.lengths.tolist()

    def compute_loss(self, model: nn.Module, inputs: dict[str, Any], *_: Any, **__: Any) -> Tensor:
        """Loss of one batch."""
        step = self.state.global_step
        self.task.begin_round(step // int(self.args.save_steps))
        taught = self.lessons.of(step).to(self.args.device) if self.lessons else None
        return model(inputs["examples"], taught)  # type: ignore[no-any-return]

    def get_decay_parameter_names(self, model: nn.Module) -> list[str]:
        """Parameters under weight decay: not a learned temperature, which it would draw to 1."""
        names = super().get_decay_parameter_names(model)
        return [name for name in names if not name.endswith("temperature.log")]

    def create_scheduler(
        self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None
    ) -> torch.optim.lr_scheduler.LRScheduler:
        """The learning rate over the whole schedule, however many steps are made."""
        return super().create_scheduler(self.schedule, optimizer)

    def _get_train_sampler(self, *_: Any) -> Sampler[int]:
        return EpochSampler(self.args.train_batch_size * processes.count(), self.lengths, self.args.seed)


class DivergedError(InputError):
    """The loss of a training is NaN or infinite: its recipe does not work."""


class Watch(TrainerCallback):
    """Moves the progress bar, and stops a training whose loss is no longer finite.

    Args:
        progress: counts steps.
        settings: where learning rate and temperature are set, for the advice.
    """

    def __init__(
        self,
        progress: Meter,
        settings: tuple[str, str] = ("retriever.learning_rate", "retriever.objective.temperature"),
    ) -> None:
        self.progress = progress
        self.settings = settings

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """One more step."""
        self.progress.advance(state.global_step - self.progress.done)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Check the loss.

        Raises:
            DivergedError: the loss is NaN or infinite.
        """
        loss = (logs or {}).get("loss", 0.0)
        if not np.isfinite(loss):
            raise DivergedError(
                "a finite training loss",
                f"{loss} in step {state.global_step}",
                "lower {} or raise {}".format(*self.settings),
            )
