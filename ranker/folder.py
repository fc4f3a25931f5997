"""A ranker's folder: its model, the retriever whose scores it reads, and the catalogue; no user is in it."""

import json
import shutil
from pathlib import Path

import polars as pl

from aisle.data.errors import InputError
from aisle.data.prepared import Part, Prepared
from aisle.data.schema import EVENTS
from aisle.data.settings import TextSettings
from aisle.data.visitors import last_moment

PARTS: tuple[Part, ...] = ("train", "validation", "test")
HUB_FILES = ["*.json", "*.txt", "*.parquet", "*.safetensors", "*/*", "*/*/*"]


def write_shop(prepared: Prepared, text: TextSettings, folder: Path) -> None:
    """Write `folder/shop/`: the catalogue as a prepared shop without events, and how items become text.

    Of the events only the moment of the last one before the test part is kept.
    """
    shop = folder / "shop"
    (shop / "split").mkdir(parents=True, exist_ok=True)
    prepared.items.write_parquet(shop / "items.parquet")
    for part in PARTS:
        pl.DataFrame(schema=EVENTS).write_parquet(shop / "split" / f"{part}.parquet")
    (shop / "text.json").write_text(text.model_dump_json(indent=1) + "\n")
    kept = ("order", "target_kinds", "seen_kinds", "cuts")
    counts = {name: prepared.counts[name] for name in kept if name in prepared.counts}
    counts["moment"] = last_moment(prepared)
    (shop / "counts.json").write_text(json.dumps(counts, indent=1) + "\n")


def read_shop(folder: Path) -> tuple[Prepared, TextSettings, int | None]:
    """What :func:`write_shop` wrote: the catalogue, how items become text, and the moment.

    Raises:
        InputError: it is not there.
    """
    try:
        text = TextSettings.model_validate_json((folder / "shop" / "text.json").read_text())
    except (OSError, ValueError) as error:
        raise InputError(
            "a ranker's folder (config.json, shop/, retriever/)", f"{folder}: {error}", "run `aisle ranker`"
        ) from error
    shop = Prepared(folder / "shop")
    moment = shop.counts["moment"]
    return shop, text, None if moment is None else int(str(moment))


def copy_retriever(model: Path, folder: Path) -> None:
    """Copy a trained retriever to `folder/retriever/`."""
    shutil.copytree(model, folder / "retriever", dirs_exist_ok=True)


def locate_ranker(name: str | Path) -> Path:
    """Folder of a ranker: a local one, or a repository on the Hugging Face hub (its local cache first).

    Raises:
        InputError: there is no such folder or repository.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    text = str(name)
    if folder.is_absolute() or text.startswith((".", "~")) or text.count("/") != 1:
        raise InputError(
            "a folder with a ranker, or a name on the hub", f"no such folder: {name}", "check it"
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HTTPError, LocalEntryNotFoundError  # type: ignore[attr-defined]

    try:
        return Path(snapshot_download(text, allow_patterns=HUB_FILES))
    except (OSError, HTTPError, LocalEntryNotFoundError) as error:
        raise InputError(
            f"the ranker {name}",
            f"no such folder, and the hub did not give it ({type(error).__name__})",
            "check the name and the network",
        ) from error
