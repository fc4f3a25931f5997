"""A small network over features."""

import json
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from aisle.data.ids import Rows
from aisle.ranker.features import Features
from aisle.ranker.lists import Floats
from aisle.ranker.losses import LOSSES
from aisle.ranker.ndcg import mean_ndcg
from aisle.ranker.normal import Normal
from aisle.ranker.settings import NetworkSettings

FILE = "network.safetensors"
HELD_OUT = 0.15
"""Share of the lists on which early stopping looks."""


class Layers(nn.Module):
    """A line through the features, and what hidden layers add to it."""

    def __init__(self, width: int, hidden: tuple[int, ...], dropout: float) -> None:
        super().__init__()
        self.line = nn.Linear(width, 1)
        parts: list[nn.Module] = []
        for size in hidden:
            parts += [nn.Linear(width, size), nn.ReLU(), nn.Dropout(dropout)]
            width = size
        last = nn.Linear(width, 1)
        nn.init.zeros_(last.weight)
        self.more = nn.Sequential(*parts, last)

    def forward(self, values: Tensor) -> Tensor:
        """Score of each row, (pairs)."""
        scores: Tensor = (self.line(values) + self.more(values)).squeeze(-1)
        return scores


@dataclass(frozen=True)
class Network:
    """Layers with the normalisation that they learned on."""

    layers: Layers
    normal: Normal
    hidden: tuple[int, ...]

    @classmethod
    def fit(
        cls,
        features: Features,
        sizes: Rows,
        labels: NDArray[np.bool_] | Floats,
        settings: NetworkSettings,
        *,
        seed: int,
    ) -> "Network":
        """Layers that put the relevant items of each list first, stopped on lists that are held out.

        Args:
            features: of the pairs, list after list.
            sizes: pairs of each list, int64 (lists).
            labels: whether each pair is relevant; or, to learn a teacher's order, each pair's share of it.
            settings: the recipe.
            seed: of weights, order and the held-out lists.
        """
        normal = Normal.fit(features.values)
        values = torch.from_numpy(normal.of(features.values))
        truth = torch.from_numpy(labels.astype(np.float32))
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(sizes))
        held, learned = np.split(order, [max(1, int(HELD_OUT * len(order)))])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            layers = Layers(normal.width, settings.hidden, settings.dropout)
            return cls(
                _trained(layers, values, truth, offsets, learned, held, settings, rng),
                normal,
                settings.hidden,
            )

    def scores(self, features: Features) -> Floats:
        """Score of each pair, float32 (pairs)."""
        with torch.inference_mode():
            found: Floats = self.layers(torch.from_numpy(self.normal.of(features.values))).numpy()
        return found

    def save(self, folder: Path) -> None:
        """Write weights and normalisation as safetensors."""
        normal = {
            name: torch.from_numpy(getattr(self.normal, name)) for name in ("mean", "deviation", "gaps")
        }
        state = {f"layers.{name}": value.contiguous() for name, value in self.layers.state_dict().items()}
        save_file({**normal, **state}, folder / FILE, {"hidden": json.dumps(self.hidden)})

    @classmethod
    def load(cls, folder: Path) -> "Network":
        """Read what :meth:`save` wrote."""
        found = load_file(folder / FILE)
        normal = Normal(*(found.pop(name).numpy() for name in ("mean", "deviation", "gaps")))
        state = {name.removeprefix("layers."): value for name, value in found.items()}
        hidden = tuple(
            len(state[name]) for name in sorted(state) if name.startswith("more") and name.endswith("weight")
        )[:-1]
        layers = Layers(normal.width, hidden, 0.0)
        layers.load_state_dict(state)
        return cls(layers.eval(), normal, hidden)


def _trained(
    layers: Layers,
    values: Tensor,
    truth: Tensor,
    offsets: Rows,
    learned: Rows,
    held: Rows,
    settings: NetworkSettings,
    rng: np.random.Generator,
) -> Layers:
    """The layers of the epoch with the best ndcg@10 on the held-out lists."""
    loss = LOSSES[settings.loss]
    weight = settings.positive_weight or float((truth == 0).sum() / (truth > 0).sum().clamp(min=1))
    steps = torch.optim.AdamW(layers.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
    owner_of = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    best_of = torch.from_numpy(np.maximum.reduceat(truth.numpy(), offsets[:-1])[owner_of])
    best, best_value, since = deepcopy(layers), -1.0, 0
    watched = _pairs(offsets, held)
    for _ in range(settings.epochs):
        layers.train()
        order = rng.permutation(learned)
        for start in range(0, len(order), settings.batch_lists):
            some = order[start : start + settings.batch_lists]
            pairs = _pairs(offsets, some)
            owner = torch.from_numpy(np.repeat(np.arange(len(some)), np.diff(offsets)[some]))
            steps.zero_grad()
            loss(layers(values[pairs]), truth[pairs], owner, weight).backward()  # type: ignore[no-untyped-call]
            steps.step()
        layers.eval()
        with torch.inference_mode():
            scores = layers(values[watched]).numpy()
        best_first = truth[watched].numpy() >= best_of[watched].numpy()
        value = mean_ndcg(scores, best_first, np.diff(offsets)[held])
        since += 1
        if value > best_value:
            best, best_value, since = deepcopy(layers), value, 0
        if since >= settings.patience:
            break
    return best.eval()


def _pairs(offsets: Rows, lists: Rows) -> Tensor:
    """Places of the pairs of some lists."""
    return torch.from_numpy(np.concatenate([np.arange(offsets[one], offsets[one + 1]) for one in lists]))
