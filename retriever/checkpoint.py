"""Towers on disk: safetensors, JSON and Parquet."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from jaxtyping import Float
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from aisle.data.errors import InputError
from aisle.data.settings import TextSettings
from aisle.retriever.settings import RetrieverSettings
from aisle.retriever.towers import ItemTower, SequenceTower, TextTower, TwoTower

FORMAT = 2


@dataclass(frozen=True)
class Checkpoint:
    """Trained towers with what is needed to use them again.

    Attributes:
        towers: the model, in evaluation mode.
        settings: as trained.
        reads: how histories become text, as trained; None for a user tower that reads no text.
        items: external ids in the order of the item rows.
        about: facts about the training (epochs, validation ndcg@10, seed, digest of the items' texts).
    """

    towers: TwoTower
    settings: RetrieverSettings
    reads: TextSettings | None
    items: pl.Series
    about: Mapping[str, object]


def build(settings: RetrieverSettings, text: Tensor | None, known: Tensor, text_dim: int) -> TwoTower:
    """Fresh towers, initialised from torch's random state."""
    items = ItemTower(
        text,
        known,
        settings.dim,
        ids=settings.item_ids,
        dropout=settings.dropout,
        id_dropout=settings.id_dropout,
    )
    users: SequenceTower | TextTower
    if settings.user_tower == "sequence":
        users = SequenceTower(
            settings.dim, settings.layers, settings.heads, settings.dropout, settings.max_history
        )
    else:
        users = TextTower(text_dim, settings.dim, settings.dropout)
    return TwoTower(items, users, cosine=settings.similarity == "cosine")


def save(checkpoint: Checkpoint, folder: Path) -> None:
    """Write a model folder: towers.safetensors, items.parquet, text.safetensors and, last, config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: value.contiguous() for name, value in checkpoint.towers.state_dict().items()}
    save_file(state, folder / "towers.safetensors")
    pl.DataFrame({"item_id": checkpoint.items}).write_parquet(folder / "items.parquet")
    if checkpoint.settings.item_text:
        save_file({"text": checkpoint.towers.items.text.contiguous()}, folder / "text.safetensors")
    text_dim = getattr(checkpoint.towers.users, "text_dim", 0)
    config = {
        "format": FORMAT,
        "settings": checkpoint.settings.model_dump(mode="json"),
        "reads": checkpoint.reads and checkpoint.reads.model_dump(mode="json"),
        "text_dim": text_dim,
        "about": checkpoint.about,
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def load(folder: Path) -> Checkpoint:
    """Read a model folder.

    Raises:
        InputError: not a model folder, or a damaged one, or one of another format.
    """
    try:
        config = json.loads((folder / "config.json").read_text())
        if config["format"] != FORMAT:
            raise InputError(
                f"a model of format {FORMAT}",
                f"format {config['format']}",
                "use the aisle that wrote it, or train again",
            )
        settings = RetrieverSettings.model_validate(config["settings"])
        reads = TextSettings.model_validate(config["reads"]) if settings.user_tower == "text" else None
        text = load_file(folder / "text.safetensors")["text"] if settings.item_text else None
        state = load_file(folder / "towers.safetensors")
        towers = build(settings, text, state["items.known"], config["text_dim"])
        towers.load_state_dict(state)
        items = pl.read_parquet(folder / "items.parquet")["item_id"]
    except (
        OSError,
        KeyError,
        json.JSONDecodeError,
        SafetensorError,
        RuntimeError,
        pl.exceptions.PolarsError,
    ) as error:
        raise InputError(
            "a folder with trained towers (config.json, towers.safetensors, items.parquet)",
            f"{folder}: {str(error).splitlines()[0]}",
            "run `aisle train`",
        ) from error
    return Checkpoint(towers.eval(), settings, reads, items, config["about"])


def text_vectors(folder: Path, digest: str) -> Float[NDArray[np.float32], "items text_dim"] | None:
    """The items' text vectors in a model folder, if they are those of `digest`."""
    about = json.loads((folder / "config.json").read_text())["about"]
    if about["texts"] != digest:
        return None
    return load_file(folder / "text.safetensors")["text"].numpy()
