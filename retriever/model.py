"""A trained retriever on disk: safetensors, JSON and Parquet."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from jaxtyping import Float
from numpy.typing import NDArray
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load_file as load_arrays
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import load_file, save_file
from torch import Tensor

from aisle.data.errors import InputError
from aisle.data.settings import TextSettings
from aisle.retriever.combined import user_tower
from aisle.retriever.neighbours import Neighbours
from aisle.retriever.settings import RetrieverSettings, TowerKind
from aisle.retriever.similarity import TextSimilarity
from aisle.retriever.temperature import Temperature
from aisle.retriever.towers import ItemTower, TwoTower
from aisle.retriever.weights import Weights

FORMAT = 4


@dataclass(frozen=True)
class Model:
    """Trained sources with what is needed to use them again.

    Attributes:
        kinds: of each tower, by name; the main one first.
        towers: the models, in evaluation mode.
        temperatures: by which similarities are divided, of each tower.
        similarity: of texts; None where it is not a source.
        neighbours: sources without vectors, by name.
        weights: of the sources.
        priors: of each item, float32 (items), for all sources together and each alone.
        settings: as trained.
        reads: how histories become text, as trained; None for a user tower that reads no text.
        items: external ids in the order of the item rows.
        text: text vectors of the items, float32 (items, text_dim); None for ids alone.
        words: of each item's text; None where they are not a source.
        trained: items of the training, the first ones; those behind them were added.
        about: facts about the training (epochs, validation ndcg@10, seed, digest of the items' texts).
    """

    kinds: Mapping[str, TowerKind]
    towers: Mapping[str, TwoTower]
    temperatures: Mapping[str, float]
    similarity: TextSimilarity | None
    neighbours: Mapping[str, Neighbours]
    weights: Weights
    priors: Mapping[str, Float[NDArray[np.float32], " items"]]
    settings: RetrieverSettings
    reads: TextSettings | None
    items: pl.Series
    text: Tensor | None
    words: pl.Series | None
    trained: int
    about: Mapping[str, object]


def build(
    settings: RetrieverSettings, kind: TowerKind, text: Tensor | None, known: Tensor, text_dim: int
) -> TwoTower:
    """Fresh towers, initialised from torch's random state."""
    items = ItemTower(
        None if kind == "ids" else text,
        known,
        settings.dim,
        ids=kind != "text",
        dropout=settings.dropout,
        id_dropout=settings.id_dropout,
        buckets=settings.id_buckets,
    )
    objective = settings.objective
    temperature = Temperature(objective.temperature, learned=objective.learn_temperature)
    users = user_tower(settings, text_dim)
    return TwoTower(items, users, temperature, cosine=settings.similarity == "cosine")


def save(model: Model, folder: Path) -> None:
    """Write a model folder.

    towers/{name}.safetensors, items.parquet, priors.safetensors, neighbours/{name}.safetensors,
    text.safetensors and words.parquet (where there are any) and, last, config.json.
    """
    (folder / "towers").mkdir(parents=True, exist_ok=True)
    for name, tower in model.towers.items():
        state = {key: value.contiguous() for key, value in tower.state_dict().items()}
        save_file(state, folder / "towers" / f"{name}.safetensors")
    pl.DataFrame({"item_id": model.items}).write_parquet(folder / "items.parquet")
    save_arrays(dict(model.priors), folder / "priors.safetensors")
    if model.text is not None:
        save_file({"text": model.text.contiguous()}, folder / "text.safetensors")
    (folder / "neighbours").mkdir(exist_ok=True)
    for name, source in model.neighbours.items():
        source.save(folder / "neighbours" / f"{name}.safetensors")
    if model.words is not None:
        pl.DataFrame({"words": model.words}).write_parquet(folder / "words.parquet")
    widths = [getattr(tower.users, "text_dim", 0) for tower in model.towers.values()]
    config = {
        "format": FORMAT,
        "towers": model.kinds,
        "temperatures": model.temperatures,
        "neighbours": {
            name: {"decay": source.decay, "most": source.most} for name, source in model.neighbours.items()
        },
        "weights": model.weights.as_json(),
        "settings": model.settings.model_dump(mode="json"),
        "reads": model.reads and model.reads.model_dump(mode="json"),
        "text_dim": widths[0],
        "about": model.about,
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def load(folder: Path) -> Model:
    """Read a model folder.

    Raises:
        InputError: not a model folder, or a damaged one, or one of another format.
    """
    try:
        return _load(folder)
    except (
        OSError,
        KeyError,
        ValueError,
        SafetensorError,
        RuntimeError,
        ValidationError,
        pl.exceptions.PolarsError,
    ) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            "a folder with a trained model (config.json, towers/, items.parquet)",
            f"{folder}: {_said(error)}",
            "run `aisle train`",
        ) from error


def _load(folder: Path) -> Model:
    config = json.loads((folder / "config.json").read_text())
    if config["format"] != FORMAT:
        raise InputError(
            f"a model of format {FORMAT}",
            f"format {config['format']}",
            "use the aisle that wrote it, or train again",
        )
    settings = RetrieverSettings.model_validate(config["settings"])
    with_text = (folder / "text.safetensors").is_file()
    text = load_file(folder / "text.safetensors")["text"] if with_text else None
    towers = {}
    for name, kind in config["towers"].items():
        state = load_file(folder / "towers" / f"{name}.safetensors")
        towers[name] = build(settings, kind, text, state["items.known"], config["text_dim"])
        towers[name].load_state_dict(state)
        towers[name].eval()
    decay = config["about"]["text_similarity"]
    neighbours = {
        name: Neighbours.load(folder / "neighbours" / f"{name}.safetensors", **found)
        for name, found in config["neighbours"].items()
    }
    with_words = (folder / "words.parquet").is_file()
    items = pl.read_parquet(folder / "items.parquet")["item_id"]
    return Model(
        kinds=config["towers"],
        towers=towers,
        temperatures=config["temperatures"],
        similarity=None if text is None or decay is None else TextSimilarity(text.numpy(), decay),
        neighbours=neighbours,
        weights=Weights.of_json(config["weights"]),
        priors=load_arrays(folder / "priors.safetensors"),
        settings=settings,
        reads=config["reads"] and TextSettings.model_validate(config["reads"]),
        items=items,
        text=text,
        words=pl.read_parquet(folder / "words.parquet")["words"] if with_words else None,
        trained=len(items),
        about=config["about"],
    )


def text_vectors(
    folder: Path, digest: str | None = None
) -> Float[NDArray[np.float32], "items text_dim"] | None:
    """The items' text vectors in a model folder, if there are any, and if they are those of `digest`."""
    about = json.loads((folder / "config.json").read_text())["about"]
    if (digest and about["texts"] != digest) or not (folder / "text.safetensors").is_file():
        return None
    return load_file(folder / "text.safetensors")["text"].numpy()


def words_column(words: Sequence[Sequence[str]]) -> pl.Series:
    """Words of each item as a column."""
    return pl.Series("words", words, dtype=pl.List(pl.String()))


def _said(error: Exception) -> str:
    """The first thing that an error says is wrong: torch heads its list of them with a line of its own."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[1] if isinstance(error, RuntimeError) and len(lines) > 1 else (lines or [repr(error)])[0]
