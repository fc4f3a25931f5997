"""An exact index on disk: FAISS file, ids, and a description with the checksums of both."""

import json
from pathlib import Path

import faiss
import polars as pl

from aisle.checksum import file_sha256
from aisle.index.errors import IndexFault
from aisle.index.exact import ExactIndex
from aisle.index.settings import IndexSettings

FORMAT = 1


def save(index: ExactIndex, ids: pl.Series, folder: Path, *, model: str) -> None:
    """Write `index.faiss`, `ids.parquet` and, last, `index.json`.

    Args:
        index: the index.
        ids: external id of each row, String, all different.
        folder: existing folder to write into.
        model: fingerprint of the towers that made the vectors.

    Raises:
        IndexFault: not one distinct id for each row.
    """
    if len(ids) != len(index) or ids.n_unique() != len(ids):
        raise IndexFault(
            f"{len(index)} distinct ids",
            f"{ids.n_unique()} distinct among {len(ids)}",
            "one id for each vector",
        )
    faiss.write_index(index.faiss, str(folder / "index.faiss"))
    pl.DataFrame({"item_id": ids}).write_parquet(folder / "ids.parquet")
    description = {
        "format": FORMAT,
        "kind": "exact",
        "metric": "inner_product",
        "items": len(index),
        "dim": index.dim,
        "model": model,
        "sha256": {name: file_sha256(folder / name) for name in ("index.faiss", "ids.parquet")},
    }
    (folder / "index.json").write_text(json.dumps(description, indent=2) + "\n")


def load(folder: Path, settings: IndexSettings, *, model: str | None = None) -> tuple[ExactIndex, pl.Series]:
    """Read what :func:`save` wrote: the index and the id of each row.

    Args:
        folder: the index's folder.
        settings: where to search.
        model: fingerprint of the towers whose queries will come; None skips the comparison.

    Raises:
        IndexFault: a file is missing, damaged or of a newer format, or the vectors are another model's.
    """
    try:
        description = json.loads((folder / "index.json").read_text())
    except (OSError, ValueError) as error:
        raise IndexFault(
            "an index (index.json)", f"{folder}: {error}", "build it with `aisle index`"
        ) from error
    if description.get("format") != FORMAT:
        raise IndexFault(
            f"an index of format {FORMAT}",
            f"format {description.get('format')}",
            "use the aisle that wrote it, or rebuild",
        )
    for name, expected in description["sha256"].items():
        if not (folder / name).is_file() or file_sha256(folder / name) != expected:
            raise IndexFault(
                f"{name} as it was written", "missing or changed on disk", "rebuild with `aisle index`"
            )
    if model is not None and model != description["model"]:
        raise IndexFault(
            f"vectors of model {model[:12]}",
            f"vectors of model {description['model'][:12]}",
            "rebuild with `aisle index`",
        )
    index = ExactIndex.of(_flat(folder / "index.faiss"), settings)
    return index, pl.read_parquet(folder / "ids.parquet")["item_id"]


def _flat(path: Path) -> faiss.IndexFlatIP:
    index = faiss.read_index(str(path))
    if not isinstance(index, faiss.IndexFlatIP):
        raise IndexFault("a flat inner product index", type(index).__name__, "rebuild with `aisle index`")
    return index
