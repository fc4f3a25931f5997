"""A smaller encoder that learns to give the vectors of a larger one, on a shop's own texts."""

import logging
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from aisle.data.errors import InputError
from aisle.data.progress import meter
from aisle.retriever.encoder import Encoder
from aisle.retriever.finetune.adapters import layers_of
from aisle.retriever.smaller.settings import DistillSettings
from aisle.retriever.static import StaticModel, without_special_tokens

LOG = logging.getLogger(__name__)

HELD_OUT = 0.1
"""Share of the texts that nothing is learned from."""

LEAST_TEXTS = 20

RARE = 1e-3
"""A token of frequency p weighs RARE / (RARE + p) at first (Arora et al. 2017, section 3)."""


@dataclass(frozen=True)
class Distilled:
    """A smaller encoder, and how near it comes.

    Attributes:
        encoder: the smaller one.
        before: mean cosine to the larger one's vectors on held-out texts, before learning.
        after: the same, after it.
        texts: that it learned from.
    """

    encoder: Encoder
    before: float
    after: float
    texts: int


def distill(teacher: Encoder, texts: Sequence[str], settings: DistillSettings, seed: int) -> Distilled:
    """An encoder with fewer layers, or without any, that gives nearly the vectors of `teacher`.

    It learns to have a cosine of 1 to the teacher's vectors.

    Args:
        teacher: the larger one, in float32; only read.
        texts: what the smaller one will read; equal ones count once.
        settings: which encoder, and how long it learns.
        seed: of everything random.

    Raises:
        InputError: fewer than `LEAST_TEXTS` different texts, or not more layers than that.
    """
    distinct = list(dict.fromkeys(texts))
    if len(distinct) < LEAST_TEXTS:
        found = f"{len(distinct)}"
        raise InputError(f"{LEAST_TEXTS} different texts to learn from", found, "give a larger catalogue")
    torch.manual_seed(seed)
    order = np.random.default_rng(seed).permutation(len(distinct))
    held, learned = np.split(order, [max(1, int(HELD_OUT * len(order)))])
    wanted = teacher.encode(distinct, "reading with the larger encoder")
    if settings.layers:
        student = with_layers(teacher, settings.layers)
    else:
        student = static(teacher, [distinct[row] for row in learned])
    before = _cosine(student, distinct, wanted, held)
    _learn(student, [distinct[row] for row in learned], wanted[learned], settings, seed)
    after = _cosine(student, distinct, wanted, held)
    LOG.info("cosine to the larger encoder on held-out texts: %.4f, before learning %.4f", after, before)
    return Distilled(student, before, after, len(learned))


def with_layers(teacher: Encoder, count: int) -> Encoder:
    """The teacher with `count` of its layers, evenly spread, the first among them; pooled as it is.

    Raises:
        InputError: it has not more than that.
    """
    model = deepcopy(teacher.model).float()
    blocks = layers_of(model)
    if count >= len(blocks):
        raise InputError(
            f"fewer than {len(blocks)} layers, which the encoder has", f"{count}", "lower layers"
        )
    kept = np.linspace(0, len(blocks) - 1, count).round().astype(int) if count > 1 else [0]
    layers = [blocks[place] for place in kept]
    del blocks[:]
    blocks.extend(layers)
    model.config.num_hidden_layers = count  # type: ignore[union-attr]
    return _reading(teacher, model)


def static(teacher: Encoder, texts: Sequence[str]) -> Encoder:
    """Vectors of tokens as the teacher reads them alone, frequent ones weighing less; nothing is learned."""
    tokenizer = without_special_tokens(teacher.tokenizer.backend_tokenizer)
    names = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    vectors = torch.from_numpy(
        teacher.encode([str(name).removeprefix("##") for name in names], "reading tokens")
    )
    counts = np.ones(len(names))
    for ids in tokenizer(list(texts), truncation=True, max_length=teacher.settings.max_tokens)["input_ids"]:
        np.add.at(counts, ids, 1)
    weights = torch.from_numpy(RARE / (RARE + counts / counts.sum())).float()
    model = StaticModel(vectors * weights[:, None])
    return _reading(teacher, model, tokenizer)


def _reading(teacher: Encoder, model: nn.Module, tokenizer: object = None) -> Encoder:
    """An encoder that reads as the teacher does."""
    settings = teacher.settings.model_copy(update={"precision": "fp32", "backend": "torch", "dim": None})
    pooling = "mean" if isinstance(model, StaticModel) else teacher.pooling
    own = teacher.tokenizer if tokenizer is None else tokenizer
    return Encoder(model.eval(), own, settings, Path(), pooling, lowercase=teacher.lowercase)  # type: ignore[arg-type]


def _learn(
    student: Encoder, texts: list[str], wanted: NDArray[np.float32], settings: DistillSettings, seed: int
) -> None:
    ids = student.ids(texts, student.settings.max_tokens)
    weights = [one for one in student.model.parameters() if one.requires_grad]
    rate = settings.rate or (1e-4 if settings.layers else 2e-3)
    optimizer = torch.optim.Adam(weights, lr=rate)
    steps = settings.epochs * -(-len(texts) // settings.batch_size)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, steps)
    draw = np.random.default_rng(seed)
    with meter("learning from the larger encoder", steps) as progress:
        for _ in range(settings.epochs):
            order = draw.permutation(len(texts))
            for start in range(0, len(order), settings.batch_size):
                rows = order[start : start + settings.batch_size]
                batch = student.tokenizer.pad({"input_ids": [ids[row] for row in rows]}, return_tensors="pt")
                tokens = {name: value.to(student.device) for name, value in batch.items()}
                tokens.pop("token_type_ids", None)
                target = torch.from_numpy(wanted[rows]).to(student.device)
                loss = (1 - (student.vectors(tokens) * target).sum(1)).mean()
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
                progress.advance()


def _cosine(
    student: Encoder, texts: list[str], wanted: NDArray[np.float32], rows: NDArray[np.int64]
) -> float:
    found = student.encode([texts[row] for row in rows], "comparing")
    return float((found * wanted[rows]).sum(1).mean())
