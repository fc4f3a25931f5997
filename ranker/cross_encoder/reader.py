"""The trained cross-encoder: reads the best candidates once more, and puts them in a new order."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor

from aisle.data.ids import Rows
from aisle.data.prepared import Prepared
from aisle.data.progress import meter
from aisle.data.settings import TextSettings
from aisle.ranker.blend import WEIGHTS, Scale
from aisle.ranker.cross_encoder.model import PairModel
from aisle.ranker.cross_encoder.order import best_pairs, reordered
from aisle.ranker.cross_encoder.settings import CrossEncoderSettings
from aisle.ranker.cross_encoder.texts import PairTexts, histories_of
from aisle.ranker.cross_encoder.train import PairLists, train
from aisle.ranker.features import Features
from aisle.ranker.lists import Floats, Lists
from aisle.ranker.ndcg import gains
from aisle.ranker.normal import Normal
from aisle.ranker.pairs import LabelledLists
from aisle.retriever.arithmetic import device
from aisle.retriever.encoder import Encoder
from aisle.retriever.engine.readers import mask_of
from aisle.retriever.engine.stream import Batch, Job, stream

MOST_WATCHED = 300
"""Held-out lists that are read after each round, at most."""


@dataclass(frozen=True)
class CrossEncoder:
    """A model of pairs with all that it reads but users.

    Attributes:
        model: of pairs.
        encoder: tokenizer and language model.
        normal: of the features.
        items: text of each item row.
        text: how histories become text.
        weight: of what it says against the scores over features, in the order of the best candidates.
        scales: of its scores, and of those over features.
        settings: the recipe.
    """

    model: PairModel
    encoder: Encoder
    normal: Normal
    items: tuple[str, ...]
    text: TextSettings
    weight: float
    scales: tuple[Scale, Scale]
    settings: CrossEncoderSettings

    def refined(self, shop: Prepared, lists: Lists, features: Features, first: Floats) -> Floats:
        """Scores over features, dealt out anew among the best candidates of each list.

        Args:
            shop: whose users the lists are of.
            lists: of candidates.
            features: of their pairs.
            first: scores over features.
        """
        if self.weight == 0:
            return first
        pairs = best_pairs(first, lists.owner, self.settings.depth)
        said = self.read(shop, lists, features, first, pairs)
        return reordered(first, lists.owner, pairs, self.mixed(said, first[pairs]))

    def mixed(self, said: Floats, first: Floats) -> Floats:
        """Both scores of some pairs on one scale, weighted."""
        own, other = self.scales
        found: Floats = self.weight * own.of(said) + (1 - self.weight) * other.of(first)
        return found

    def read(self, shop: Prepared, lists: Lists, features: Features, first: Floats, pairs: Rows) -> Floats:
        """What the model says of some pairs, float32 (len(pairs))."""
        histories = histories_of(shop, lists.users, self.items, self.text, self.encoder)
        texts = PairTexts(self.encoder, histories, self.items, lists)
        return read_pairs(self.model, texts, self.normal.of(features.values[pairs]), first[pairs], pairs)

    def longer(self, texts: list[str]) -> "CrossEncoder":
        """The same with items behind its own."""
        return replace(self, items=(*self.items, *texts))

    def save(self, folder: Path) -> None:
        """Write `folder/`: encoder/, head.safetensors, items.parquet and, last, config.json."""
        folder.mkdir(parents=True, exist_ok=True)
        self.encoder.save(folder / "encoder")
        state = {
            name: value.contiguous()
            for name, value in self.model.state_dict().items()
            if not name.startswith("language_model.")
        }
        normal = {
            name: torch.from_numpy(getattr(self.normal, name)) for name in ("mean", "deviation", "gaps")
        }
        save_file(
            {**state, **{f"normal.{name}": value for name, value in normal.items()}},
            folder / "head.safetensors",
        )
        pl.DataFrame({"text": list(self.items)}, schema={"text": pl.String}).write_parquet(
            folder / "items.parquet"
        )
        config = {
            "weight": self.weight,
            "scales": [[scale.mean, scale.deviation] for scale in self.scales],
            "settings": self.settings.model_dump(mode="json"),
            "text": self.text.model_dump(mode="json"),
        }
        (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "CrossEncoder":
        """Read what :meth:`save` wrote."""
        config = json.loads((folder / "config.json").read_text())
        settings = CrossEncoderSettings.model_validate_json(json.dumps(config["settings"]))
        own = settings.encoder.model_copy(update={"model": str(folder / "encoder")})
        encoder = Encoder.load(own, device())
        state = load_file(folder / "head.safetensors")
        normal = Normal(*(state.pop(f"normal.{name}").numpy() for name in ("mean", "deviation", "gaps")))
        width = normal.width if settings.reads == "both" else 0
        model = PairModel(encoder, width, settings.hidden, settings.dropout)
        model.load_state_dict(state, strict=False)
        return cls(
            model.to(device()).eval(),
            encoder,
            normal,
            tuple(pl.read_parquet(folder / "items.parquet")["text"]),
            TextSettings.model_validate_json(json.dumps(config["text"])),
            config["weight"],
            (Scale(*config["scales"][0]), Scale(*config["scales"][1])),
            settings,
        )


def fit(
    shop: Prepared,
    given: LabelledLists,
    features: Features,
    first: Floats,
    items: tuple[str, ...],
    text: TextSettings,
    settings: CrossEncoderSettings,
    folder: Path,
    *,
    seed: int,
) -> tuple[CrossEncoder, dict[str, float]]:
    """A cross-encoder, and ndcg@10 of each weight on lists that it did not learn from.

    Args:
        shop: as its retriever knows it, before the labels.
        given: lists with labels.
        features: of their pairs.
        first: scores over features, by scorers that did not learn on them.
        items: text of each item row.
        text: how histories become text.
        settings: the recipe.
        folder: for checkpoints.
        seed: of everything random.
    """
    lists, rng = given.lists, np.random.default_rng(seed)
    scores = np.where(given.found, first, -np.inf).astype(np.float32)
    top = best_pairs(scores, lists.owner, settings.depth)
    top = top[given.found[top]]
    order = rng.permutation(np.unique(lists.owner[top[given.labels[top]]]))
    held, learned = np.split(order, [max(1, int(settings.held_out * len(order)))])
    groups = _groups(lists, top, given.labels, learned[: settings.lists], settings.negatives, rng)
    encoder = Encoder.load(settings.encoder.model_copy(update={"precision": "fp32"}), device())
    encoder.settings = settings.encoder
    texts = PairTexts(encoder, histories_of(shop, lists.users, items, text, encoder), items, lists)
    normal = Normal.fit(features.values[top])
    values = normal.of(features.values)
    watched = top[np.isin(lists.owner[top], held[:MOST_WATCHED])]
    asked = PairLists(texts, values, first, given.labels, groups)

    def ndcg(model: PairModel) -> float:
        return _mean(read_pairs(model, texts, values[watched], first[watched], watched), given, watched)

    model = train(encoder, asked, ndcg, settings, folder, seed=seed)
    judged = top[np.isin(lists.owner[top], held)]
    said = read_pairs(model, texts, values[judged], first[judged], judged)
    scales = (Scale.fit(said), Scale.fit(first[judged]))
    found = CrossEncoder(model, encoder, normal, items, text, 0.0, scales, settings)
    told = {
        weight: _mean(replace(found, weight=weight).mixed(said, first[judged]), given, judged)
        for weight in WEIGHTS
    }
    best = max(reversed(WEIGHTS), key=lambda weight: told[weight])
    return replace(found, weight=best), {f"cross-encoder {weight:g}": value for weight, value in told.items()}


def _groups(
    lists: Lists,
    top: Rows,
    labels: NDArray[np.bool_],
    chosen: Rows,
    negatives: int,
    rng: np.random.Generator,
) -> list[Rows]:
    """Of each chosen list its relevant pairs, and some others among its best."""
    groups = []
    for place in chosen:
        pairs = top[lists.owner[top] == place]
        others = rng.permutation(pairs[~labels[pairs]])[:negatives]
        groups.append(np.concatenate([pairs[labels[pairs]], others]))
    return groups


def _mean(scores: Floats, given: LabelledLists, pairs: Rows) -> float:
    """Mean ndcg@10 over the lists of some pairs, against all that is relevant to their users."""
    owner = given.lists.owner[pairs]
    users, sizes = np.unique(owner, return_counts=True)
    return float(gains(scores, given.labels[pairs], sizes, given.relevant[users]).mean())


def read_pairs(model: PairModel, texts: PairTexts, values: Floats, first: Floats, pairs: Rows) -> Floats:
    """Scores of some pairs, float32 (len(pairs)).

    Args:
        model: read with in the arithmetic of the texts' encoder.
        texts: of all pairs.
        values: normalised features of `pairs`.
        first: scores over features of `pairs`.
        pairs: which ones.
    """
    encoder, place = texts.encoder, next(model.parameters()).device
    if model.training:
        model.eval()
    reader = model.reader(encoder.settings)

    def compute(batch: Batch[int]) -> Tensor:
        numbers = [torch.from_numpy(array[batch.inputs]).to(place) for array in (values, first)]
        return model.joined(reader(batch.tokens), mask_of(batch.tokens), *numbers)

    job = Job[int](
        lambda some: texts.pieces(pairs[some]),
        compute,
        place,
        encoder.budget,
        encoder.pad,
        settled=reader.settled,
    )
    found = np.empty(len(pairs), np.float32)
    done = 0
    with meter("reading pairs", len(pairs)) as progress:
        for block in stream(range(len(pairs)), job):
            found[done : done + len(block)] = block
            done += len(block)
            progress.advance(len(block))
    return found
