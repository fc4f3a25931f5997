"""transformers' training loop in rounds, each with a checkpoint and, where there is one, a validation."""

import json
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn
from transformers import (
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR
from transformers.utils import SAFE_WEIGHTS_NAME

from aisle.retriever import processes

METRIC = "ndcg@10"
BEST = f"eval_{METRIC}"

Curve = list[dict[str, int | float]]
"""Of each round: `epoch`, `loss`, and the validation metric where there is one."""


def arguments(
    folder: Path, *, steps: int, round_steps: int, metric: str | None, bf16: bool, seed: int, **own: Any
) -> TrainingArguments:
    """What all trainings in rounds ask of transformers' loop.

    Args:
        folder: of the checkpoints; made absolute.
        steps: of the whole training.
        round_steps: of a round.
        metric: that decides which round is kept; None for a training without validation.
        bf16: arithmetic.
        seed: of everything random in the loop.
        own: what the training at hand adds: batch size, learning rate and its schedule, ...
    """
    return TrainingArguments(
        output_dir=str(folder.resolve()),
        max_steps=steps,
        logging_strategy="steps",
        logging_steps=round_steps,
        logging_nan_inf_filter=False,
        save_strategy="steps",
        save_steps=round_steps,
        save_total_limit=2,
        eval_strategy="steps" if metric else "no",
        eval_steps=round_steps,
        load_best_model_at_end=metric is not None,
        metric_for_best_model=f"eval_{metric}" if metric else None,
        restore_callback_states_from_checkpoint=True,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        disable_tqdm=True,
        report_to="none",  # aisle.retriever.reporting adds reporters, with folders of ours
        seed=seed,
        bf16=bf16,
        use_cpu=not torch.cuda.is_available(),
        **own,
    )


EachRound = Callable[[int, float], None]
"""Is told the number of a round, from 1 on, and its validation ndcg@10."""


class RoundsTrainer(Trainer):
    """Trains a module on a dataset that collates its own batches; a killed training goes on where it was.

    Attributes:
        metric: name of what the validation gives; whether more of it is better stands in the arguments.

    Args:
        module: what is trained.
        dataset: with a method `collate`.
        validation: the metric of a module; None for a training of a fixed length.
        arguments: of transformers; `eval_steps` are the steps of a round.
    """

    metric = METRIC

    def __init__(
        self,
        module: nn.Module,
        dataset: Any,
        validation: Callable[[Any], float] | None,
        arguments: TrainingArguments,
    ) -> None:
        arguments._n_gpu = min(arguments.n_gpu, 1)  # several are for several processes, under torchrun
        super().__init__(
            model=module,
            args=arguments,
            train_dataset=dataset,
            eval_dataset=dataset if validation else None,  # asked for, never read: see evaluate
            data_collator=dataset.collate,
        )
        self.remove_callback(PrinterCallback)
        logging.getLogger("transformers.trainer_utils").addFilter(_is_news)
        self.module = module
        self.validation = validation

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Validation metric of the module as it is."""
        if self.validation is None:
            raise RuntimeError("no validation was asked for")
        self.module.eval()
        metrics = {f"eval_{self.metric}": processes.share(partial(self.validation, self.module))}
        self.log(dict(metrics))
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def run(self, folder: Path, patience: int | None) -> None:
        """Train, from the newest checkpoint in `folder` on, and end with the weights of the best round.

        A training that had ended when it was killed does not go on.

        Args:
            folder: where the checkpoints are.
            patience: rounds without a better validation before stopping; None without validation.
        """
        newest = next(reversed(checkpoints(folder)), None)
        state = TrainerState.load_from_json(str(newest / TRAINER_STATE_NAME)) if newest else None
        if state and self._had_ended(state, patience):
            self.state = state
        else:
            self.train(resume_from_checkpoint=str(newest) if newest else None)
        processes.wait()  # until the first one has written the last checkpoint
        best = self.state.best_global_step or self.state.global_step
        self.restore(folder / f"{PREFIX_CHECKPOINT_DIR}-{best}")

    def restore(self, checkpoint: Path) -> None:
        """Put the weights of a checkpoint into the module."""
        self.module.load_state_dict(load_file(checkpoint / SAFE_WEIGHTS_NAME))

    def _had_ended(self, state: TrainerState, patience: int | None) -> bool:
        if patience is None or not self.args.eval_steps:
            return state.global_step >= self.args.max_steps
        rounds = (state.global_step - (state.best_global_step or 0)) / self.args.eval_steps
        return rounds >= patience or state.global_step >= self.args.max_steps

    def curve(self) -> Curve:
        """Loss, and the validation metric where there is one, of each round."""
        names = (("loss", "loss"), (self.metric, f"eval_{self.metric}"))
        rounds: dict[int, dict[str, int | float]] = {}
        for entry in self.state.log_history:
            row = rounds.setdefault(int(entry["step"]), {"epoch": round(entry["epoch"], 2)})
            row.update({name: entry[key] for name, key in names if key in entry})
        return [row for row in rounds.values() if len(row) > 1]


class Rounds(TrainerCallback):
    """Tells the validation of each round, also of those before a kill."""

    def __init__(self, each_round: EachRound) -> None:
        self.each_round = each_round
        self.told = 0

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Tell what has not been told."""
        found = [entry[BEST] for entry in state.log_history if BEST in entry]
        for value in found[self.told :]:
            self.told += 1
            self.each_round(self.told, value)


def checkpoints(folder: Path) -> list[Path]:
    """Whole checkpoints below `folder`, oldest first; the trainer writes a checkpoint's state last."""
    steps = {int(path.name.rpartition("-")[2]): path for path in folder.glob(f"{PREFIX_CHECKPOINT_DIR}-*")}
    return [path for _, path in sorted(steps.items()) if _is_whole(path)]


def _is_whole(checkpoint: Path) -> bool:
    """Whether the trainer's state is there, and the random state of every process."""
    if processes.count() > 1 and len(list(checkpoint.glob("rng_state_*.pth"))) < processes.count():
        return False
    try:
        json.loads((checkpoint / TRAINER_STATE_NAME).read_text())
    except (OSError, ValueError):  # killed while it was written
        return False
    return True


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a message of transformers is worth a line: not that quick checkpoints are ordered by number."""
    return "mtime may not be reliable" not in record.getMessage()
