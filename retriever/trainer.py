"""transformers' training loop, with a contrastive objective and a ranking as its evaluation."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn
from torch.utils.data import Sampler
from transformers import (
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_pt_utils import LengthGroupedSampler
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from aisle.data.errors import InputError
from aisle.data.progress import Meter
from aisle.retriever.batches import SequenceDataset, SequenceExamples, TextDataset, TextExamples
from aisle.retriever.objective import Objective
from aisle.retriever.towers import TwoTower

METRIC = "ndcg@10"
BEST = f"eval_{METRIC}"

Curve = list[dict[str, int | float]]
"""Of each round: `epoch`, `loss`, and `ndcg@10` where there is a validation."""


class TowerTrainer(Trainer):
    """Trains towers on examples of users; batches hold users of similar history length."""

    objective: Objective

    def __init__(
        self,
        towers: TwoTower,
        objective: Objective,
        dataset: SequenceDataset | TextDataset,
        validation: Callable[[TwoTower], float] | None,
        arguments: TrainingArguments,
    ) -> None:
        super().__init__(
            model=towers,
            args=arguments,
            train_dataset=dataset,
            eval_dataset=dataset if validation else None,  # asked for, never read: see evaluate
            data_collator=dataset.collate,
        )
        self.remove_callback(PrinterCallback)
        self.towers = towers
        self.objective = objective.to(arguments.device)
        self.validation = validation
        self.lengths = dataset.lengths.tolist()

    def compute_loss(self, model: nn.Module, inputs: dict[str, Any], *_: Any, **__: Any) -> Tensor:
        """Loss of one batch."""
        examples: SequenceExamples | TextExamples = inputs["examples"]
        targets = examples.target_rows
        rows = self.objective.rows(targets)
        users, items = model(examples, rows)
        return self.objective(users, items, targets, rows)  # type: ignore[no-any-return]

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Validation ndcg@10 of the towers as they are."""
        if self.validation is None:
            raise RuntimeError("no validation was asked for")
        self.towers.eval()
        metrics = {BEST: self.validation(self.towers)}
        self.log(dict(metrics))
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def curve(self) -> Curve:
        """Loss, and validation ndcg@10 where there is one, of each round."""
        rounds: dict[int, dict[str, int | float]] = {}
        for entry in self.state.log_history:
            row = rounds.setdefault(int(entry["step"]), {"epoch": round(entry["epoch"], 2)})
            row.update({name: entry[key] for name, key in (("loss", "loss"), (METRIC, BEST)) if key in entry})
        return [row for row in rounds.values() if len(row) > 1]

    def _get_train_sampler(self, *_: Any) -> Sampler[int]:
        return LengthGroupedSampler(self.args.train_batch_size, lengths=self.lengths)


class Watch(TrainerCallback):
    """Moves the progress bar, and stops a training whose loss is no longer finite."""

    def __init__(self, progress: Meter) -> None:
        self.progress = progress

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
            InputError: the loss is NaN or infinite.
        """
        loss = (logs or {}).get("loss", 0.0)
        if not np.isfinite(loss):
            raise InputError(
                "a finite training loss",
                f"{loss} in step {state.global_step}",
                "lower retriever.learning_rate or raise retriever.temperature",
            )


def last_checkpoint(folder: Path) -> str | None:
    """The newest whole checkpoint below `folder`, if any; the trainer writes its state last."""
    steps = {int(path.name.rpartition("-")[2]): path for path in folder.glob(f"{PREFIX_CHECKPOINT_DIR}-*")}
    for _, path in sorted(steps.items(), reverse=True):
        try:
            json.loads((path / TRAINER_STATE_NAME).read_text())
        except (OSError, ValueError):  # killed while it was written
            continue
        return str(path)
    return None
