"""Indices of every kind: built from vectors, written to a folder, read from it."""

import json
from pathlib import Path

import faiss
import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from aisle.index.base import Index
from aisle.index.errors import IndexFault
from aisle.index.exact import ExactIndex
from aisle.index.searched import FaissIndex
from aisle.index.settings import IndexSettings, Metric, Storage

FORMAT = 1
"""Of `kind.json`; raised when what older code reads would be wrong."""

FILES = ("index.faiss", "kind.json")
"""What `write` leaves in a folder."""


class Kind(BaseModel):
    """What `kind.json` says about the FAISS file beside it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    format: int
    kind: str
    metric: Metric
    storage: Storage
    items: int
    dim: int


def build(vectors: Float[NDArray[np.float32], "n dim"], settings: IndexSettings) -> Index:
    """An index of the kind, metric and storage that the settings name.

    Args:
        vectors: item vectors, float32 (n, dim); row `i` answers as row `i`.
        settings: what to build, and where to search it.

    Raises:
        IndexFault: vectors or settings cannot be used.
    """
    if settings.kind == "exact":
        return ExactIndex(vectors, settings)
    raise IndexFault("a kind of index", repr(settings.kind), "set index.kind to 'exact'")


def write(index: Index, folder: Path) -> None:
    """Write `FILES` into an existing folder: the index as FAISS reads it, and what it is.

    Raises:
        IndexFault: the index is not one that :func:`build` or :func:`read` gave.
    """
    if not isinstance(index, FaissIndex):
        raise IndexFault("an index of aisle.index.kinds", type(index).__name__, "compact it first")
    settings = index.settings
    kind = Kind(
        format=FORMAT,
        kind=settings.kind,
        metric=settings.metric,
        storage=settings.storage,
        items=len(index),
        dim=index.dim,
    )
    faiss.write_index(index.faiss, str(folder / "index.faiss"))
    (folder / "kind.json").write_text(kind.model_dump_json(indent=2) + "\n")


def read(folder: Path, settings: IndexSettings, mmap: bool = True) -> Index:
    """The index of a folder that :func:`write` wrote.

    Kind, metric and storage are those it was built with; device and search knobs are those of `settings`.
    FAISS trusts its files: compare checksums before reading what may be damaged.

    Args:
        folder: holds `FILES`.
        settings: where and how hard to search.
        mmap: leave the vectors in the file and map it: opened in milliseconds, and shared by processes.

    Raises:
        IndexFault: a file is missing, cannot be read, is of a newer format, or they do not match.
    """
    kind = _kind(folder)
    built_as = {"kind": kind.kind, "metric": kind.metric, "storage": kind.storage}
    flags = faiss.IO_FLAG_MMAP_IFC if mmap else 0
    try:
        stored = faiss.read_index(str(folder / "index.faiss"), flags)
    except RuntimeError as error:
        found = f"{folder / 'index.faiss'}: {str(error).splitlines()[0]}"
        raise IndexFault("a FAISS index", found, "rebuild it with `aisle index`") from error
    if (stored.ntotal, stored.d) != (kind.items, kind.dim):
        raise IndexFault(
            f"{kind.items} vectors of {kind.dim} numbers, as kind.json says",
            f"{stored.ntotal} of {stored.d}",
            "rebuild it with `aisle index`",
        )
    return ExactIndex.of(stored, settings.model_copy(update=built_as))


def _kind(folder: Path) -> Kind:
    """What the folder says that its index is.

    Raises:
        IndexFault: it says nothing that can be understood.
    """
    try:
        said = json.loads((folder / "kind.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise IndexFault(
            "an index (kind.json)", f"{folder}: {error}", "build it with `aisle index`"
        ) from error
    version = said.get("format") if isinstance(said, dict) else None
    if version != FORMAT:
        raise IndexFault(
            f"an index of format {FORMAT}", f"format {version}", "use the aisle that wrote it, or rebuild"
        )
    try:
        return Kind.model_validate(said)
    except ValidationError as error:
        problem = error.errors()[0]
        found = f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}"
        raise IndexFault(
            "an index (kind.json)", f"{folder}: {found}", "rebuild it with `aisle index`"
        ) from error
