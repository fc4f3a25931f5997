"""Training of the two towers: early stopping on validation ndcg@10, then the refit on all but the test."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import EarlyStoppingCallback, TrainingArguments, set_seed

from aisle.data.errors import InputError
from aisle.data.history import Histories
from aisle.data.prepared import Part, Prepared
from aisle.data.progress import meter
from aisle.data.settings import TextSettings
from aisle.durable import write_whole
from aisle.retriever import processes
from aisle.retriever.arithmetic import device, in_bf16, keep_freed_memory
from aisle.retriever.batches import SequenceDataset, TextDataset
from aisle.retriever.checkpoint import Checkpoint, build, save
from aisle.retriever.encoder import Encoder
from aisle.retriever.objective import Objective
from aisle.retriever.prior import Prior
from aisle.retriever.rounds import BEST, METRIC, Curve
from aisle.retriever.settings import RetrieverSettings
from aisle.retriever.texts import digest, item_texts, kept_vectors
from aisle.retriever.towers import TwoTower
from aisle.retriever.trainer import TowerTrainer, Watch
from aisle.retriever.users import users_of
from aisle.retriever.validation import Validation

DONE = "done.json"


def train(
    prepared: Prepared, text: TextSettings, settings: RetrieverSettings, out: Path, *, seed: int
) -> None:
    """Train the towers and write `out/model/` and `out/curve.jsonl`.

    What else is in `out` afterwards (checkpoints, vectors of texts) is for a run that continues a killed one.

    First on train, with early stopping on validation, where the prior is chosen too; then, with
    `settings.refit`, anew on train + validation for as many epochs. Continues from the checkpoints that a
    killed run left in `out`. Equal seeds give equal towers.

    Raises:
        InputError: nothing to train on, or the loss is no longer finite.
    """
    keep_freed_memory()
    reads = text if settings.user_tower == "text" else None
    encoder = Encoder.load(settings.encoder, device()) if settings.item_text or reads else None
    job = Job(prepared, text, settings, encoder, out, seed)
    searched = job.search()
    final = job.refit(searched) if settings.refit else searched
    about: dict[str, object] = {
        "seed": seed,
        "epochs": searched.epochs,
        f"validation_{METRIC}": searched.best,
        "prior": asdict(searched.prior),
        "refit": settings.refit,
        "texts": final.texts,
    }
    curve = [{"phase": "search", **row} for row in searched.curve]
    curve += [{"phase": "refit", **row} for row in final.curve] if settings.refit else []
    if not processes.is_first():
        return
    (out / "curve.jsonl").write_text("".join(json.dumps(row) + "\n" for row in curve))
    save(Checkpoint(final.towers, settings, reads, prepared.item_ids.values, about), out / "model")


@dataclass(frozen=True)
class Fit:
    """What one training gave.

    Attributes:
        towers: of the best round, or of the last one; with their prior.
        texts: digest of what the items' text vectors depend on; None for ids alone.
        epochs: passes over the users until then.
        best: validation ndcg@10 of the best round without a prior; None without validation.
        prior: weights of the items' prior.
        curve: how it went.
    """

    towers: TwoTower
    texts: str | None
    epochs: float
    best: float | None
    prior: Prior
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

    def search(self) -> Fit:
        """Train on train; the number of epochs and the prior are those that are best on validation."""
        return self._fit("search", ("train",), None, Prior())

    def refit(self, searched: Fit) -> Fit:
        """Train anew on train + validation as the search found best."""
        return self._fit("refit", ("train", "validation"), searched.epochs, searched.prior)

    def _fit(self, name: str, parts: Sequence[Part], epochs: float | None, prior: Prior) -> Fit:
        """Train for `epochs`, or until validation gets no better, in the folder `name`."""
        folder = self.out.resolve() / name
        folder.mkdir(parents=True, exist_ok=True)
        users = users_of(self.prepared, self.text, self.settings, self.encoder, self.out / "vectors")
        histories = users.histories(*parts)
        known = torch.from_numpy(np.bincount(histories.items, minlength=len(self.prepared.item_ids)) > 0)
        with processes.first_alone():  # it encodes texts, the others read the vectors
            vectors, texts = self._item_text(parts)
            dataset = users.examples(*parts)
        if not len(dataset) or int(known.sum()) < 2:
            raise InputError(
                "users with events on at least two items to train on",
                f"{len(dataset)} users, {int(known.sum())} items in {' + '.join(parts)}",
                "check data.split and counts.json of the prepared shop",
            )
        set_seed(self.seed)
        towers = build(self.settings, vectors, known, self.encoder.dim if self.encoder else 0)
        if not processes.share((folder / DONE).is_file):
            validation = None if epochs else Validation(self.prepared, users, histories, self.settings)
            trainer = self._trainer(towers, dataset, validation, epochs, folder)
            with meter(f"training ({name})", trainer.args.max_steps) as progress:
                trainer.add_callback(Watch(progress))
                trainer.run(folder, self.settings.patience if validation else None)
            if validation:
                prior = processes.share(partial(validation.prior, towers.eval(), self.seed))
                epochs = (trainer.state.best_global_step or 1) / self._epoch_steps(dataset)
            best, curve = trainer.state.best_metric, trainer.curve()
            facts = {"epochs": epochs, "best": best, "prior": asdict(prior), "curve": curve}
            if processes.is_first():
                save_file(towers.state_dict(), folder / "towers.safetensors")
                write_whole(folder / DONE, json.dumps(facts))
            processes.wait()
        return self._finished(folder, towers, texts, histories)

    def _trainer(
        self,
        towers: TwoTower,
        dataset: SequenceDataset | TextDataset,
        validation: Validation | None,
        epochs: float | None,
        folder: Path,
    ) -> TowerTrainer:
        objective = Objective(
            towers.items.known, dataset.target_counts(len(towers.prior)), self.settings.objective
        )
        epoch_steps = self._epoch_steps(dataset)
        round_steps = max(epoch_steps, self.settings.round_steps)
        steps = round(epochs * epoch_steps) if epochs else self.settings.max_rounds * round_steps
        arguments = self._arguments(folder, steps, round_steps, validate=validation is not None)
        trainer = TowerTrainer(towers, objective, dataset, validation.ndcg if validation else None, arguments)
        if validation:
            trainer.add_callback(EarlyStoppingCallback(early_stopping_patience=self.settings.patience))
        return trainer

    def _epoch_steps(self, dataset: SequenceDataset | TextDataset) -> int:
        return -(-len(dataset) // self.settings.batch_size)

    def _finished(self, folder: Path, towers: TwoTower, texts: str | None, histories: Histories) -> Fit:
        """What a finished training left in its folder."""
        facts = json.loads((folder / DONE).read_text())
        prior = Prior(**facts.pop("prior"))
        towers.load_state_dict(load_file(folder / "towers.safetensors"))
        towers.set_prior(
            prior.of(histories, len(self.prepared.item_ids)) * self.settings.objective.temperature
        )
        return Fit(towers.eval().cpu(), texts, prior=prior, **facts)

    def _item_text(self, parts: Sequence[Part]) -> tuple[Tensor, str] | tuple[None, None]:
        """Text vectors of the items as described before the end of `parts`, and the digest of their texts."""
        if not self.settings.item_text or self.encoder is None:
            return None, None
        texts = item_texts(self.prepared, self.text, *parts)
        if not any(texts):
            raise InputError(
                "items with a text: title, brand, categories, description, attributes or reviews",
                f"none of {len(texts)} items has any",
                "add a catalogue to the data, or set retriever.item_text to false to learn from events alone",
            )
        vectors = kept_vectors(self.out / "vectors", self.encoder, texts, "encoding items")
        return vectors, digest(self.encoder, texts)

    def _arguments(self, folder: Path, steps: int, round_steps: int, *, validate: bool) -> TrainingArguments:
        return TrainingArguments(
            output_dir=str(folder),
            max_steps=steps,
            per_device_train_batch_size=processes.portion(self.settings.batch_size),
            learning_rate=self.settings.learning_rate,
            weight_decay=self.settings.weight_decay,
            warmup_steps=self.settings.warmup_steps,
            lr_scheduler_type="constant_with_warmup",
            logging_strategy="steps",
            logging_steps=round_steps,
            logging_nan_inf_filter=False,
            save_strategy="steps",
            save_steps=round_steps,
            save_total_limit=2,
            eval_strategy="steps" if validate else "no",
            eval_steps=round_steps,
            load_best_model_at_end=validate,
            metric_for_best_model=BEST if validate else None,
            greater_is_better=True,
            restore_callback_states_from_checkpoint=True,
            remove_unused_columns=False,
            dataloader_pin_memory=False,
            disable_tqdm=True,
            report_to="none",
            ddp_broadcast_buffers=False,  # the catalogue's text vectors, equal in all processes
            seed=self.seed,
            bf16=in_bf16(self.settings.precision, device()),
            use_cpu=not torch.cuda.is_available(),
        )
