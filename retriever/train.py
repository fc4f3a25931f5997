"""Training of the two towers: early stopping on validation ndcg@10, then the refit on all but the test."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.data import Sampler
from transformers import (
    EarlyStoppingCallback,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_pt_utils import LengthGroupedSampler
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from aisle.data.errors import InputError
from aisle.data.prepared import BEFORE, Part, Prepared
from aisle.data.progress import Meter, meter
from aisle.data.settings import TextSettings
from aisle.retriever.arithmetic import in_bf16, keep_freed_memory
from aisle.retriever.batches import SequenceDataset, SequenceExamples, TextDataset, TextExamples
from aisle.retriever.checkpoint import Checkpoint, build, save
from aisle.retriever.encoder import Encoder
from aisle.retriever.objective import Objective
from aisle.retriever.settings import RetrieverSettings
from aisle.retriever.texts import item_texts, kept_vectors
from aisle.retriever.towers import TwoTower
from aisle.retriever.users import Users, users_of
from aisle.retriever.validation import Relevant, grouped, mean_ndcg

METRIC = "ndcg@10"
BEST = f"eval_{METRIC}"
DONE = "done.json"

Curve = list[dict[str, int | float]]
"""Of each epoch: `epoch`, `loss`, and `ndcg@10` where there is a validation."""


def train(
    prepared: Prepared, text: TextSettings, settings: RetrieverSettings, out: Path, *, seed: int
) -> None:
    """Train the towers and write `out/model/` and `out/curve.jsonl`.

    First on train, with early stopping on validation; then, with `settings.refit`, anew on train + validation
    for the chosen number of epochs. Continues from the checkpoints that a killed run left in `out`. Equal
    seeds give equal towers.

    Raises:
        InputError: nothing to train on, or the loss is no longer finite.
    """
    keep_freed_memory()
    reads = settings.item_text or settings.user_tower == "text"
    encoder = Encoder.load(settings.encoder, device()) if reads else None
    job = Job(prepared, text, settings, encoder, out, seed)
    searched = job.fit(("train",), settings.max_epochs, validate=True)
    final = job.fit(("train", "validation"), searched.epochs, validate=False) if settings.refit else searched
    about: dict[str, object] = {
        "seed": seed,
        "epochs": searched.epochs,
        f"validation_{METRIC}": searched.best,
        "refit": settings.refit,
        "encoder": encoder.fingerprint if encoder else None,
    }
    curve = [{"phase": "search", **row} for row in searched.curve]
    curve += [{"phase": "refit", **row} for row in final.curve] if settings.refit else []
    (out / "curve.jsonl").write_text("".join(json.dumps(row) + "\n" for row in curve))
    save(Checkpoint(final.towers, settings, prepared.item_ids.values, final.text, about), out / "model")
    for scratch in ("search", "refit", "vectors"):
        shutil.rmtree(out / scratch, ignore_errors=True)


@dataclass(frozen=True)
class Fit:
    """What one training gave: the towers of the best (or last) epoch and how it went."""

    towers: TwoTower
    text: Tensor | None
    epochs: int
    best: float | None
    curve: Curve


@dataclass(frozen=True)
class Job:
    """One shop, one recipe, one seed."""

    prepared: Prepared
    text: TextSettings
    settings: RetrieverSettings
    encoder: Encoder | None
    out: Path
    seed: int

    def fit(self, parts: Sequence[Part], epochs: int, *, validate: bool) -> Fit:
        """Train on `parts` for at most `epochs` epochs, choosing the best on validation if asked to."""
        name = "search" if validate else "refit"
        folder = self.out / name
        folder.mkdir(parents=True, exist_ok=True)
        histories = self.prepared.histories(*parts).merge_repeats()
        counts = torch.from_numpy(np.bincount(histories.items, minlength=len(self.prepared.item_ids)))
        item_text = None
        if self.settings.item_text and self.encoder:
            texts = item_texts(self.prepared, self.text, *parts)
            item_text = kept_vectors(self.out / "vectors", self.encoder, texts, "encoding items")
        users = users_of(self.prepared, self.text, self.settings, self.encoder, self.out / "vectors")
        dataset = users.examples(*parts)
        if not len(dataset) or int((counts > 0).sum()) < 2:
            raise InputError(
                "users with events on at least two items to train on",
                f"{len(dataset)} users, {int((counts > 0).sum())} items in {' + '.join(parts)}",
                "check data.split and counts.json of the prepared shop",
            )
        if (folder / DONE).is_file():
            return self._finished(folder, item_text, counts > 0)
        set_seed(self.seed)
        towers = build(self.settings, item_text, counts > 0, self.encoder.dim if self.encoder else 0)
        objective = Objective(torch.nonzero(counts > 0).squeeze(1), counts, self.settings)
        validation = self._validation(users) if validate else None
        trainer = TowerTrainer(
            towers, objective, dataset, validation, self._arguments(folder, epochs, validate)
        )
        if validate:
            trainer.add_callback(EarlyStoppingCallback(early_stopping_patience=self.settings.patience))
        steps = epochs * -(-len(dataset) // self.settings.batch_size)
        with meter(f"training ({name})", steps) as progress:
            trainer.add_callback(Watch(progress))
            trainer.train(resume_from_checkpoint=last_checkpoint(folder))
        chosen = epochs
        if validate and trainer.state.best_global_step:
            chosen = round(trainer.state.best_global_step / (trainer.state.max_steps / epochs))
        save_file(towers.state_dict(), folder / "towers.safetensors")
        facts = {"epochs": chosen, "best": trainer.state.best_metric, "curve": trainer.curve()}
        unfinished = folder / f"{DONE}.part"
        unfinished.write_text(json.dumps(facts))
        unfinished.replace(folder / DONE)
        return self._finished(folder, item_text, counts > 0)

    def _finished(self, folder: Path, item_text: Tensor | None, known: Tensor) -> Fit:
        """What a finished training left in its folder."""
        towers = build(self.settings, item_text, known, self.encoder.dim if self.encoder else 0)
        towers.load_state_dict(load_file(folder / "towers.safetensors"))
        return Fit(towers.eval(), item_text, **json.loads((folder / DONE).read_text()))

    def _validation(self, users: Users) -> Callable[[TwoTower], float]:
        """Mean ndcg@10 of towers on validation, every user with a relevant item counted."""
        truth = self.prepared.truth("validation")
        user_rows, relevant = grouped(
            self.prepared.user_ids.rows(truth["user_id"]), self.prepared.item_ids.rows(truth["item_id"])
        )
        past = BEFORE["validation"]
        seen = self.prepared.histories(*past, kinds=self.prepared.seen_kinds).seen(user_rows)
        wanted = Relevant(user_rows, relevant, seen)

        def score(towers: TwoTower) -> float:
            with torch.inference_mode():
                return mean_ndcg(users.vectors(towers, user_rows, *past), towers.item_vectors(), wanted)

        return score

    def _arguments(self, folder: Path, epochs: int, validate: bool) -> TrainingArguments:
        return TrainingArguments(
            output_dir=str(folder),
            num_train_epochs=epochs,
            per_device_train_batch_size=self.settings.batch_size,
            learning_rate=self.settings.learning_rate,
            weight_decay=self.settings.weight_decay,
            warmup_steps=self.settings.warmup_steps,
            lr_scheduler_type="constant_with_warmup",
            logging_strategy="epoch",
            logging_nan_inf_filter=False,
            save_strategy="epoch",
            save_total_limit=2,
            eval_strategy="epoch" if validate else "no",
            load_best_model_at_end=validate,
            metric_for_best_model=BEST if validate else None,
            greater_is_better=True,
            restore_callback_states_from_checkpoint=True,
            remove_unused_columns=False,
            dataloader_pin_memory=False,
            disable_tqdm=True,
            report_to="none",
            seed=self.seed,
            bf16=in_bf16(self.settings.precision, device()),
            use_cpu=not torch.cuda.is_available(),
        )


def device() -> str:
    """Where to train."""
    return "cuda" if torch.cuda.is_available() else "cpu"


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


class TowerTrainer(Trainer):
    """transformers' training loop with the contrastive objective and a ranking as its evaluation."""

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
        """Loss, and validation ndcg@10 where there is one, of each epoch."""
        epochs: dict[int, dict[str, int | float]] = {}
        for entry in self.state.log_history:
            row = epochs.setdefault(round(entry["epoch"]), {"epoch": round(entry["epoch"])})
            row.update({name: entry[key] for name, key in (("loss", "loss"), (METRIC, BEST)) if key in entry})
        return list(epochs.values())

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
        """Check the loss."""
        loss = (logs or {}).get("loss", 0.0)
        if not np.isfinite(loss):
            raise InputError(
                "a finite training loss",
                f"{loss} in epoch {state.epoch:.0f}",
                "lower retriever.learning_rate or raise retriever.temperature",
            )
