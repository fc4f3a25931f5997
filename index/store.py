"""An index in a folder: its own files, ids, vectors, and a description with the checksums of all.

index.faiss          the index; kind.json says which kind it is
ids.arrow            id of each row
vectors.safetensors  the vectors as they came, where they are kept
texts.safetensors    vectors of the items' texts, where a trained model made the others from them
texts.arrow          then also the texts, for the model's sources that are not vectors
index.json           the description, written last
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
from jaxtyping import Float, Int
from numpy.typing import NDArray

from aisle.index import kinds
from aisle.index.base import Index
from aisle.index.columns import ID, TEXT, TextColumn, read_vectors, write_texts, write_vectors
from aisle.index.delta import Updated, load_delta
from aisle.index.description import NAME, Check, Description, entries
from aisle.index.errors import Damaged, IndexFault
from aisle.index.searched import FaissIndex
from aisle.index.settings import IndexSettings

INDEX, IDS, VECTORS, TEXTS = "index.faiss", "ids.arrow", "vectors.safetensors", "texts.safetensors"
SAID = "texts.arrow"


@dataclass(frozen=True, eq=False)
class Stored:
    """An index in a folder, opened.

    Attributes:
        folder: where it is.
        description: what it says about itself.
        index: ready to search.
        ids: of its rows.
        kept: the vectors as they came, mapped into memory; None where they are not kept.
        base: the version as it was built, where `index` has changes to it.
    """

    folder: Path
    description: Description
    index: Index
    ids: TextColumn
    kept: Float[NDArray[np.float32], "n dim"] | None = None
    base: "Stored | None" = None

    @cached_property
    def vectors(self) -> Float[NDArray[np.float32], "n dim"]:
        """The vectors as they came, or those in the index where they are not kept; zeros where no item is."""
        if isinstance(self.index, Updated) and self.base is not None and self.base.kept is not None:
            return self.index.as_they_came(self.base.kept)
        return self.index.vectors if self.kept is None else self.kept

    @property
    def rows(self) -> Int[NDArray[np.int64], " items"]:
        """Rows that have an item."""
        alive = self.index.alive if isinstance(self.index, Updated) else np.ones(len(self.index), np.bool_)
        return np.flatnonzero(alive)

    @cached_property
    def texts(self) -> Float[NDArray[np.float32], "n text_dim"] | None:
        """Vectors of the items' texts, mapped into memory; None where they are not kept.

        Raises:
            IndexFault: they are kept of the version and not of the changes to it.
        """
        path = (self.base or self).folder / TEXTS
        if not path.is_file():
            return None
        found = read_vectors(path)
        if not isinstance(self.index, Updated):
            return found
        whole = np.zeros((len(self.index), found.shape[1]), np.float32)
        whole[: len(found)] = found
        if self.index.changed:
            if not (self.folder / TEXTS).is_file():
                fix = "rebuild the index: `aisle index rebuild`"
                raise IndexFault(f"{TEXTS} of the changes", f"none in {self.folder}", fix)
            whole[self.index.changed_rows] = read_vectors(self.folder / TEXTS)
        return whole

    def said(self, rows: Int[NDArray[np.int64], " n"]) -> list[str] | None:
        """Texts of the items of some rows; None where they are not kept, be it of the changes alone.

        Raises:
            IndexFault: there are not as many as rows.
        """
        base = self.base or self
        parts = [(base, np.arange(len(base.index)))]
        if isinstance(self.index, Updated) and self.index.changed:
            parts.append((self, self.index.changed_rows))
        found = np.full(len(rows), "", object)
        for stored, held in parts:
            if SAID not in stored.description.files:
                return None
            column = TextColumn(stored.folder / SAID, TEXT)
            if len(column) != len(held):
                wanted, there = f"{len(held):,} texts", f"{stored.folder}: {len(column):,}"
                raise IndexFault(wanted, there, "rebuild the index: `aisle index rebuild`")
            here = np.isin(rows, held)
            found[here] = column.of(np.searchsorted(held, rows[here]))
        return found.tolist()


def save(
    index: Index,
    ids: pl.Series,
    folder: Path,
    *,
    model: str,
    encoder: str = "",
    data: str = "",
    settings: IndexSettings,
    counts: Mapping[str, int] | None = None,
    vectors: Float[NDArray[np.float32], "n dim"] | None = None,
    texts: Float[NDArray[np.float32], "n text_dim"] | None = None,
    said: Sequence[str] | None = None,
) -> Description:
    """Write an index and, last, its description.

    Args:
        index: the index.
        ids: external id of each row, String, all different.
        folder: existing folder to write into.
        model: fingerprint of the towers that made the vectors.
        encoder: fingerprint of the language model that read the texts.
        data: fingerprint of ids and texts.
        settings: of the index.
        counts: what was counted on the way.
        vectors: as they came, to be kept beside the index.
        texts: vectors of the items' texts, likewise.
        said: the items' texts, likewise.

    Raises:
        IndexFault: not one distinct id for each row, or vectors of another shape.
    """
    if len(ids) != len(index) or ids.n_unique() != len(ids) or ids.null_count():
        raise IndexFault(
            f"{len(index)} distinct ids",
            f"{ids.n_unique()} distinct among {len(ids)}, {ids.null_count()} missing",
            "one id for each vector",
        )
    if vectors is not None and vectors.shape != (len(index), index.dim):
        raise IndexFault(
            f"vectors of shape {(len(index), index.dim)}", f"shape {vectors.shape}", "keep those of the index"
        )
    try:
        kinds.write(index, folder)
    except RuntimeError as error:  # FAISS, about a disk that is full
        said = str(error).splitlines()[0].rpartition("Error: ")[2]
        raise IndexFault("room for an index", f"{folder}: {said}", "make room, and start it again") from error
    write_texts(ids, folder / IDS, ID)
    if vectors is not None:
        write_vectors(vectors, folder / VECTORS)
    if texts is not None:
        write_vectors(texts, folder / TEXTS)
    if said is not None:
        write_texts(pl.Series(said, dtype=pl.String), folder / SAID, TEXT)
    return Description(
        kind=index.settings.kind if isinstance(index, FaissIndex) else settings.kind,
        metric=settings.metric,
        items=len(index),
        dim=index.dim,
        model=model,
        encoder=encoder,
        data=data,
        settings=settings.model_dump(mode="json"),
        counts=dict(counts or {}),
        files=dict(entries(folder)),
    ).write(folder)


def load(folder: Path, settings: IndexSettings, *, model: str | None = None) -> tuple[Index, pl.Series]:
    """Read what :func:`save` wrote: the index and the id of each row.

    Args:
        folder: the index's folder.
        settings: where to search.
        model: fingerprint of the towers whose queries will come; None skips the comparison.

    Raises:
        IndexFault: a file is missing, damaged or of a newer format, or the vectors are another model's.
    """
    try:
        found = open_folder(folder, settings, model=model)
    except OSError as error:
        raise IndexFault(f"an index ({NAME})", f"{folder}: {error}", "build it with `aisle index`") from error
    return found.index, found.ids.series()


def open_folder(
    folder: Path, settings: IndexSettings | None = None, *, model: str | None = None, check: Check = "all"
) -> Stored:
    """Open what :func:`save` wrote, its files mapped into memory.

    Args:
        folder: the index's folder.
        settings: where and how hard to search; None: as it was built.
        model: fingerprint of the towers whose queries will come; None skips the comparison.
        check: "all" reads every byte and notices any that changed; "sizes" opens at once.

    Raises:
        FileNotFoundError: there is no description.
        IndexFault: a file is missing, damaged or of a newer format, or the vectors are another model's.
    """
    description = Description.read(folder)
    if damage := description.damage(folder, check):
        raise Damaged("an index as it was written", f"{folder}: {damage}", "rebuild with `aisle index`")
    if model is not None and model != description.model:
        raise IndexFault(
            f"vectors of model {model[:12]}",
            f"vectors of model {description.model[:12]}",
            "rebuild with `aisle index`",
        )
    _check_header(folder / INDEX, description)
    index = kinds.read(folder, settings or IndexSettings.model_validate(description.settings))
    ids = TextColumn(folder / IDS, ID)
    if not len(ids) == len(index) == description.items:
        found = f"{folder}: {len(ids):,} ids, {len(index):,} vectors"
        raise IndexFault(f"{description.items:,} items", found, "rebuild with `aisle index`")
    kept = read_vectors(folder / VECTORS) if VECTORS in description.files else None
    if kept is not None and kept.shape != (description.items, description.dim):
        wanted = f"vectors of shape {(description.items, description.dim)}"
        raise IndexFault(wanted, f"{folder}: shape {kept.shape}", "rebuild with `aisle index`")
    return Stored(folder, description, index, ids, kept)


def with_delta(stored: Stored, folder: Path, check: Check = "all") -> Stored:
    """A version with the changes to it (:mod:`aisle.index.updates`).

    Args:
        stored: the version as it was built.
        folder: of the changes.
        check: as for :func:`open_folder`.

    Raises:
        FileNotFoundError: there is no description.
        IndexFault: a file is missing or damaged, or the changes are those of another version.
    """
    description = Description.read(folder)
    if damage := description.damage(folder, check):
        raise Damaged("changes as they were written", f"{folder}: {damage}", "roll back, or rebuild")
    if (description.data, description.model) != (stored.description.data, stored.description.model):
        raise IndexFault("changes to this version", f"{folder}: those of another", "roll back, or rebuild")
    settings = IndexSettings.model_validate(description.settings)
    index = load_delta(stored.index, folder, settings)
    ids = TextColumn(folder / IDS, ID)
    if not len(ids) == len(index) == description.items:
        found = f"{folder}: {len(ids):,} ids, {len(index):,} rows"
        raise IndexFault(f"{description.items:,} rows", found, "roll back, or rebuild")
    return Stored(folder, description, index, ids, base=stored)


def _check_header(path: Path, description: Description) -> None:
    """Whether a file begins like an index of so many vectors, and is long enough where that is known.

    FAISS trusts its files: one that says it is larger than it is ends the process.

    Raises:
        IndexFault: it does not.
    """
    with path.open("rb") as file:
        header = file.read(16)
    kind, dim, items = header[:4], int.from_bytes(header[4:8], "little"), int.from_bytes(header[8:], "little")
    fits = (dim, items) == (description.dim, description.items)
    if kind == b"IxFI":
        fits = fits and path.stat().st_size >= 4 * dim * items
    if not fits:
        found = f"{path}: {items:,} of {dim:,} numbers, {path.stat().st_size:,} bytes"
        wanted = f"an index of {description.items:,} vectors of {description.dim:,} numbers"
        raise IndexFault(wanted, found, "rebuild with `aisle index`")
