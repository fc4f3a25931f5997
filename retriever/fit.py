"""Training of one tower pair: early stopping on validation ndcg@10, or anew for a chosen number of epochs."""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import EarlyStoppingCallback, TrainerCallback, set_seed

from aisle.data.errors import InputError
from aisle.data.prepared import Part, Prepared
from aisle.data.progress import meter
from aisle.data.settings import TextSettings
from aisle.data.words import words_of
from aisle.durable import write_whole
from aisle.retriever import processes
from aisle.retriever.arithmetic import device, in_bf16
from aisle.retriever.batches import SequenceDataset, TextDataset
from aisle.retriever.encoder import Encoder
from aisle.retriever.model import build
from aisle.retriever.rounds import METRIC, Curve, arguments
from aisle.retriever.settings import RetrieverSettings, TowerKind
from aisle.retriever.suspicion import check_texts
from aisle.retriever.task import Task
from aisle.retriever.teacher import Lessons, read_teacher
from aisle.retriever.texts import digest, item_texts, kept_at, kept_vectors
from aisle.retriever.towers import TwoTower
from aisle.retriever.trainer import TowerTrainer, Watch
from aisle.retriever.users import Users, users_of
from aisle.retriever.validation import Validation

LOG = logging.getLogger(__name__)

DONE = "done.json"


@dataclass(frozen=True)
class Fit:
    """What one training gave.

    Attributes:
        towers: of the best round, or of the last one.
        epochs: passes over the users until then.
        best: validation ndcg@10 of the best round; None without validation.
        curve: how it went.
    """

    towers: TwoTower
    epochs: float
    best: float | None
    curve: Curve


@dataclass(frozen=True)
class ItemText:
    """Text vectors of the items, and the digest of what they depend on."""

    vectors: Tensor
    digest: str


@dataclass(frozen=True)
class Job:
    """One shop, one recipe, one seed; trainings and vectors of texts are kept in `out`.

    `watchers` are asked for by the name of each training, such as "search two_tower".
    """

    prepared: Prepared
    text: TextSettings
    settings: RetrieverSettings
    out: Path
    seed: int
    watchers: Callable[[str], Sequence[TrainerCallback]] = lambda _: ()
    trainer: ClassVar[type[TowerTrainer]] = TowerTrainer

    @cached_property
    def encoder(self) -> Encoder | None:
        """The language model, where any tower reads text."""
        return Encoder.load(self.settings.encoder, device()) if self.settings.reads_text else None

    @cached_property
    def users(self) -> Users:
        """The user side of the shop, shared by all towers."""
        return users_of(self.prepared, self.text, self.settings, self.encoder, self.out / "vectors")

    def search(self, name: str, kind: TowerKind, place: int) -> Fit:
        """Train on train until validation gets no better; the best round is kept.

        Args:
            name: of the towers.
            kind: what their item vectors come from.
            place: among all towers; decides their random numbers.
        """
        return self._fit(f"search {name}", kind, place, ("train",), None)

    def refit(self, name: str, kind: TowerKind, place: int, epochs: float) -> Fit:
        """Train anew on train + validation for as many epochs as the search found best."""
        return self._fit(f"refit {name}", kind, place, ("train", "validation"), epochs)

    def towers(self, kind: TowerKind, text: Tensor | None, known: Tensor) -> TwoTower:
        """Fresh towers; `text` are the items' text vectors, `known` says which have events in training."""
        return build(self.settings, kind, text, known, self.encoder.dim if self.encoder else 0)

    def task(self, towers: TwoTower, counts: Tensor) -> Task:
        """What is asked of towers; `counts` is how often each item is a target."""
        return Task.of(towers, counts, self.settings)

    def item_text(self, parts: Sequence[Part]) -> ItemText | None:
        """Text vectors of the items as described before the end of `parts`; None where no tower wants them.

        Raises:
            InputError: no item has a text, or all texts are of no use.
        """
        if self.encoder is None or not any(kind != "ids" for kind in self.settings.towers):
            return None
        texts = item_texts(self.prepared, self.text, *parts)
        if not any(texts):
            raise InputError(
                "items with a text: title, brand, categories, description, attributes or reviews",
                f"none of {len(texts)} items has any",
                'add a catalogue to the data, or set retriever.towers to ["ids"] to learn from events alone',
            )
        if not kept_at(self.out / "vectors", self.encoder, texts).is_file():
            check_texts(texts, self.encoder, alone=all(kind == "text" for kind in self.settings.towers))
        vectors = kept_vectors(self.out / "vectors", self.encoder, texts, "encoding items")
        return ItemText(vectors, digest(self.encoder, texts))

    def item_words(self, parts: Sequence[Part]) -> list[list[str]] | None:
        """Words of the items' texts as of the end of `parts`; None where they are not a source."""
        if not self.settings.shares_words:
            return None
        if len(self.prepared.item_ids) > self.settings.words_limit:
            LOG.info("words are not a source: more than %d items", self.settings.words_limit)
            return None
        return words_of(item_texts(self.prepared, self.text, *parts))

    def _fit(
        self, name: str, kind: TowerKind, place: int, parts: Sequence[Part], epochs: float | None
    ) -> Fit:
        """Train for `epochs`, or until validation gets no better, in a folder of that name."""
        folder = self.out.resolve() / name.replace(" ", "-")
        folder.mkdir(parents=True, exist_ok=True)
        histories = self.users.histories(*parts)
        known = torch.from_numpy(np.bincount(histories.items, minlength=len(self.prepared.item_ids)) > 0)
        with processes.first_alone():  # it encodes texts, the others read the vectors
            dataset = self.users.examples(*parts)
            text = self.item_text(parts) if kind != "ids" else None
        users = int((histories.lengths > 0).sum())
        if not len(dataset) or users < 2 or int(known.sum()) < 2:
            raise InputError(
                "at least two users with events on at least two items to train on",
                f"{users} users, {int(known.sum())} items in {' + '.join(parts)}",
                "check data.split and counts.json of the prepared shop",
            )
        vectors = None if text is None else text.vectors
        seed = self.seed_of(place)
        set_seed(seed)
        towers = self.towers(kind, vectors, known)
        if not processes.share((folder / DONE).is_file):
            validation = None if epochs else Validation(self.prepared, self.users)
            lessons = self._lessons(parts)
            trainer = self._trainer(towers, dataset, validation, epochs, folder, seed, lessons)
            with meter(f"training ({name})", trainer.args.max_steps) as progress:
                for watcher in (Watch(progress), *self.watchers(name)):
                    trainer.add_callback(watcher)
                trainer.run(folder, self.settings.patience if validation else None)
            if validation:
                signs = processes.share(partial(validation.signs, towers.eval(), self.seed))
                if processes.is_first():
                    signs.log(name)
                epochs = (trainer.state.best_global_step or 1) / self.epoch_steps(dataset)
            facts = {"epochs": epochs, "best": trainer.state.best_metric, "curve": trainer.curve()}
            if processes.is_first():
                save_file(towers.state_dict(), folder / "towers.safetensors")
                write_whole(folder / DONE, json.dumps(facts))
            processes.wait()
        towers.load_state_dict(load_file(folder / "towers.safetensors"))
        return Fit(towers.eval().cpu(), **json.loads((folder / DONE).read_text()))

    def _trainer(
        self,
        towers: TwoTower,
        dataset: SequenceDataset | TextDataset,
        validation: Validation | None,
        epochs: float | None,
        folder: Path,
        seed: int,
        lessons: Lessons | None,
    ) -> TowerTrainer:
        counts = dataset.target_counts(len(towers.items.known))
        task = self.task(towers, counts)
        epoch_steps = self.epoch_steps(dataset)
        round_steps = max(epoch_steps, self.settings.round_steps)
        schedule = self.settings.max_rounds * round_steps
        steps = round(epochs * epoch_steps) if epochs else schedule
        asked = arguments(
            folder,
            steps=steps,
            round_steps=round_steps,
            metric=METRIC if validation else None,
            bf16=in_bf16(self.settings.precision, device()),
            seed=seed,
            per_device_train_batch_size=processes.portion(self.settings.batch_size),
            learning_rate=self.settings.learning_rate,
            weight_decay=self.settings.weight_decay,
            warmup_steps=self.settings.warmup_steps,
            lr_scheduler_type="linear",
            greater_is_better=True,
            ddp_broadcast_buffers=False,  # the catalogue's text vectors, equal in all processes
        )
        ndcg = validation.ndcg if validation else None
        trainer = self.trainer(task, dataset, ndcg, asked, schedule=schedule, lessons=lessons)
        if validation:
            trainer.add_callback(EarlyStoppingCallback(early_stopping_patience=self.settings.patience))
        return trainer

    def _lessons(self, parts: Sequence[Part]) -> Lessons | None:
        """What there is to learn from a teacher's scores, if there is a teacher."""
        path = self.settings.objective.teacher
        if path is None:
            return None
        teacher = read_teacher(path, self.prepared)
        number = processes.portion(self.settings.batch_size)
        return Lessons(teacher, lambda rows: self.users.inputs(rows, *parts), number, self.seed)

    def epoch_steps(self, dataset: SequenceDataset | TextDataset) -> int:
        """Steps of a pass over the examples."""
        return -(-len(dataset) // self.settings.batch_size)

    def seed_of(self, place: int) -> int:
        """Seed of the towers at a place among all; the first ones have that of the job."""
        return int(np.random.SeedSequence((self.seed, place)).generate_state(1)[0]) if place else self.seed


def claim(job: Job) -> None:
    """Note whose trainings are kept in a job's folder: their checkpoints are of use to the same recipe alone.

    The language model is told by its weights, wherever it lies.

    Raises:
        InputError: it is another one's.
    """
    recipe = {
        "retriever": job.settings.model_dump(mode="json", exclude={"report_to": True, "encoder": {"model"}}),
        "encoder": job.encoder.fingerprint if job.encoder else None,
        "text": job.text.model_dump(mode="json"),
        "seed": job.seed,
    }
    note = job.out / "recipe.json"
    if note.is_file() and json.loads(note.read_text()) != recipe:
        raise InputError(
            "an empty folder, or trainings of the same settings and seed",
            f"those of others in {job.out}",
            "take another folder, or remove that one",
        )
    write_whole(note, json.dumps(recipe, indent=1) + "\n")
