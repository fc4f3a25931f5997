"""Contrastive training of a language model on pairs of texts."""

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.utils.data import Dataset, Sampler
from transformers import EarlyStoppingCallback, TrainingArguments, set_seed

from aisle.data.errors import InputError
from aisle.data.progress import meter
from aisle.durable import write_whole
from aisle.retriever import processes
from aisle.retriever.arithmetic import device, in_bf16, keep_freed_memory
from aisle.retriever.encoder import CHARS_PER_TOKEN, Encoder
from aisle.retriever.finetune.adapters import merged, prepare
from aisle.retriever.finetune.pairs import Pairs, codes
from aisle.retriever.finetune.settings import FinetuneSettings
from aisle.retriever.gradcache import encode_in_chunks
from aisle.retriever.losses import MASKED
from aisle.retriever.rounds import METRIC, Curve, RoundsTrainer, arguments
from aisle.retriever.settings import Precision
from aisle.retriever.trainer import Watch

LOG = logging.getLogger(__name__)
ADVICE = ("retriever.finetune.learning_rate", "retriever.finetune.temperature")


class TokenPairs(Dataset[int]):
    """Pairs whose texts are tokenized once; a batch pads the distinct texts that it needs.

    Args:
        pairs: of texts.
        encoder: whose tokenizer reads them.
    """

    def __init__(self, pairs: Pairs, encoder: Encoder) -> None:
        self.pairs = pairs
        self.tokenizer = encoder.tokenizer
        self.log_share = pairs.log_share()
        self.codes = codes(pairs.texts)
        limit = encoder.settings.max_tokens
        texts = [text[: limit * CHARS_PER_TOKEN] for text in pairs.texts]
        self.tokens = self.tokenizer(texts, truncation=True, max_length=limit)["input_ids"]

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, place: int) -> int:
        return int(place)

    def collate(self, places: list[int]) -> dict[str, Any]:
        """Tokens of the distinct texts of some pairs, who is whose positive, and what does not compete.

        What shares a group with the anchor is no negative of it, nor is what reads like it or its positive.
        """
        pairs = self.pairs
        anchors, positives = pairs.anchors[places], pairs.positives[places]
        hard = pairs.hard[places]
        columns = np.concatenate([positives, hard[hard >= 0]])
        came_with = np.repeat(positives, (hard >= 0).sum(1))  # a hard negative is drawn with its pair
        rows, inverse = np.unique(np.concatenate([anchors, columns]), return_inverse=True)
        n = len(places)
        said, columns_say = self.codes, self.codes[columns]
        excluded = pairs.related(anchors, columns)
        excluded |= columns_say == said[anchors][:, None]
        excluded |= columns_say == said[positives][:, None]
        excluded[np.arange(n), np.arange(n)] = False
        return {
            "tokens": self.tokenizer.pad(
                {"input_ids": [self.tokens[row] for row in rows]}, return_tensors="pt"
            ),
            "anchors": torch.from_numpy(inverse[:n]),
            "columns": torch.from_numpy(inverse[n:]),
            "excluded": torch.from_numpy(excluded),
            "log_share": torch.from_numpy(self.log_share[np.concatenate([positives, came_with])]),
        }


def contrast(
    anchors: Float[Tensor, "n dim"],
    columns: Float[Tensor, "m dim"],
    excluded: Bool[Tensor, "n m"],
    temperature: float,
    log_share: Float[Tensor, " m"],
) -> Float[Tensor, ""]:
    """InfoNCE of each anchor with the column of its own number against all other columns.

    As :func:`aisle.retriever.losses.in_batch`, with further columns behind the positives (hard negatives),
    and with any text left out that belongs to the anchor too.

    Args:
        anchors: vectors of unit length.
        columns: of the positives, then of hard negatives.
        excluded: what does not compete; never the positive itself.
        temperature: scores are divided by it.
        log_share: log chance of each column to be in a batch; 0 leaves its score as it is.
    """
    scores = (anchors @ columns.T) / temperature - log_share[None, :]
    targets: Int[Tensor, " n"] = torch.arange(len(anchors), device=scores.device)
    return nn.functional.cross_entropy(scores.masked_fill(excluded, MASKED), targets)


class Vectors(nn.Module):
    """An encoder as a module: tokens of distinct texts to their vectors.

    In training, at most `chunk` texts are in memory at once; 0: all.
    """

    def __init__(self, encoder: Encoder, chunk: int = 0) -> None:
        super().__init__()
        self.chunk = chunk
        self.language_model = encoder.model
        self.encoder = encoder

    def forward(self, tokens: Mapping[str, Tensor]) -> Float[Tensor, "texts dim"]:
        """Vectors of unit length."""
        if not self.training or not self.chunk:
            return self.encoder.vectors(tokens)
        parts = {name: torch.split(value, self.chunk) for name, value in tokens.items()}
        chunks = [dict(zip(parts, part, strict=True)) for part in zip(*parts.values(), strict=True)]
        return encode_in_chunks(self.encoder.vectors, chunks)


class Draws(Sampler[int]):
    """Places of pairs, drawn by their chances with replacement; whole batches, other ones in each epoch."""

    def __init__(self, pairs: Pairs, batch_size: int, seed: int) -> None:
        self.chances = pairs.chances
        self.size = -(-len(pairs) // batch_size) * batch_size
        self.seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[int]:
        draw = np.random.default_rng([self.seed, self.epoch])
        yield from draw.choice(len(self.chances), self.size, p=self.chances).tolist()

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer, so that a training that goes on draws what the killed one would have."""
        self.epoch = epoch


class PairTrainer(RoundsTrainer):
    """Trains on batches of pairs that compete with each other."""

    def __init__(
        self,
        vectors: Vectors,
        dataset: TokenPairs,
        validation: Callable[[Vectors], float] | None,
        arguments: TrainingArguments,
        temperature: float,
    ) -> None:
        super().__init__(vectors, dataset, validation, arguments)
        self.draws = Draws(dataset.pairs, arguments.train_batch_size * processes.count(), arguments.seed)
        self.temperature = temperature

    def compute_loss(self, model: nn.Module, inputs: dict[str, Any], *_: Any, **__: Any) -> Tensor:
        """Loss of one batch."""
        vectors = model(inputs["tokens"]).float()
        return contrast(
            vectors[inputs["anchors"]],
            vectors[inputs["columns"]],
            inputs["excluded"],
            self.temperature,
            inputs["log_share"],
        )

    def _get_train_sampler(self, *_: Any) -> Sampler[int]:
        return self.draws


@dataclass(frozen=True)
class Tuned:
    """What a fine-tuning gave.

    Attributes:
        steps: of the weights that were kept; 0: the untouched ones.
        untouched: validation ndcg@10 before any step; None without validation.
        best: validation ndcg@10 of the weights that were kept; None without validation.
        curve: how it went.
    """

    steps: int
    untouched: float | None
    best: float | None
    curve: Curve


def tune(
    encoder: Encoder,
    pairs: Pairs,
    settings: FinetuneSettings,
    folder: Path,
    *,
    precision: Precision,
    seed: int,
    validation: Callable[[Encoder], float] | None = None,
) -> Tuned:
    """Train the encoder's language model in place, until validation gets no better.

    Without `validation` it trains for all `max_rounds`. Where no round is better than the untouched model,
    that one is kept. Continues from the checkpoints of a killed run.

    Args:
        encoder: in float32; its adapter, if any, is merged at the end.
        pairs: what belongs together.
        settings: how to train.
        folder: for checkpoints; made if need be.
        precision: arithmetic of training.
        seed: of all that is random.
        validation: ndcg@10 of an encoder, in evaluation mode.

    Raises:
        InputError: fewer than two pairs, a model that cannot be trained so, or a loss that is not finite.
    """
    if len(pairs) < 2:
        raise InputError(
            "pairs of texts to fine-tune on",
            f"{len(pairs)} pairs",
            "add events to the data, name other retriever.finetune.pairs, or set retriever.finetune.enabled "
            "to false",
        )
    keep_freed_memory()
    folder.mkdir(parents=True, exist_ok=True)
    bf16 = in_bf16(precision, device())
    start = {name: value.clone() for name, value in encoder.model.state_dict().items()}
    untouched = None
    if validation:
        untouched = processes.share(partial(_untouched, encoder, validation, bf16, folder))
    set_seed(seed)
    plain, encoder.model = encoder.model, prepare(encoder.model, settings)

    def validated(vectors: Vectors) -> float:
        with torch.autocast(device(), torch.bfloat16, enabled=bf16):
            return validation(vectors.encoder)  # type: ignore[misc]

    asked = arguments(
        folder,
        steps=settings.max_rounds * settings.round_steps,
        round_steps=settings.round_steps,
        metric=METRIC if validation else None,
        bf16=bf16,
        seed=seed,
        per_device_train_batch_size=processes.portion(settings.batch_size, "retriever.finetune.batch_size"),
        gradient_accumulation_steps=settings.accumulation,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        warmup_steps=settings.warmup_steps,
        lr_scheduler_type="constant_with_warmup",
        greater_is_better=True,
    )
    trainer = PairTrainer(
        Vectors(encoder, settings.chunk_texts),
        TokenPairs(pairs, encoder),
        validated if validation else None,
        asked,
        settings.temperature,
    )
    if validation:
        trainer.add_callback(EarlyStoppingCallback(early_stopping_patience=settings.patience))
    with meter("fine-tuning", trainer.args.max_steps) as progress:
        trainer.add_callback(Watch(progress, ADVICE))
        trainer.run(folder, settings.patience if validation else None)
    encoder.model = merged(encoder.model).eval()
    best, steps = trainer.state.best_metric, trainer.state.best_global_step or trainer.state.global_step
    if untouched is not None and (best is None or best <= untouched):
        LOG.warning(
            "fine-tuning made the language model no better on validation (ndcg@10 %.4f, untouched %.4f): "
            "the untouched one is kept",
            best or 0.0,
            untouched,
        )
        encoder.model = plain
        plain.load_state_dict(start)
        best, steps = untouched, 0
    return Tuned(steps, untouched, best, trainer.curve())


def _untouched(encoder: Encoder, validation: Callable[[Encoder], float], bf16: bool, folder: Path) -> float:
    """Validation of the model before the first step, kept in `folder`."""
    path = folder / "untouched.json"
    if path.is_file():
        return float(json.loads(path.read_text()))
    with torch.autocast(device(), torch.bfloat16, enabled=bf16):
        found = validation(encoder)
    write_whole(path, json.dumps(found))
    return found
