"""Indices of every kind: built from vectors, written to a folder, read from it."""

import json
import logging
from pathlib import Path

import faiss
import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from aisle.index import cagra
from aisle.index.approximate import ApproximateIndex
from aisle.index.base import Index, Vectors
from aisle.index.blas import matrix_product
from aisle.index.devices import gpu_memory
from aisle.index.errors import IndexFault
from aisle.index.exact import ExactIndex
from aisle.index.knobs import innermost
from aisle.index.recipes import KINDS, chosen, factory, is_kind, machine_memory
from aisle.index.searched import FaissIndex, as_metric, check_vectors
from aisle.index.settings import IndexSettings, Metric, Storage

FORMAT = 1
"""Of `kind.json`; raised when what older code reads would be wrong."""

log = logging.getLogger(__name__)

UNEVEN = 1.25
"""Ratio of the lengths of vectors (95% and 5% quantile) from which on a graph is warned of."""

SAMPLE = 65_536
"""Vectors to train on at least, where there are so many: 256 for each of the 256 codes of a byte."""

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


def build(vectors: Float[NDArray[np.float32], "n dim"], settings: IndexSettings) -> FaissIndex:
    """An index of the kind, metric and storage that the settings name.

    Args:
        vectors: item vectors, float32 (n, dim); row `i` answers as row `i`.
        settings: what to build, and where to search it.

    Raises:
        IndexFault: vectors or settings cannot be used.
    """
    check_vectors(vectors)
    items, dim = vectors.shape
    kind = settings.kind
    if kind == "auto":
        memory = {"memory": machine_memory(), "gpu_memory": gpu_memory(settings)}
        kind = chosen(items, dim, settings.storage, settings.metric, **memory)
    built_as = settings.model_copy(update={"kind": kind})
    if kind == "exact":
        return ExactIndex(vectors, built_as)
    ready = as_metric(vectors, settings)
    if kind == "cagra":
        return ApproximateIndex(cagra.build(ready), built_as)
    recipe = factory(kind, items, dim, settings.storage) if is_kind(kind) else kind
    if "HNSW" in recipe or "NSG" in recipe:
        _warn_of_lengths(ready)
    return ApproximateIndex(_filled(ready, recipe, settings.seed), built_as)


def _filled(vectors: Vectors, recipe: str, seed: int) -> faiss.Index:
    """A FAISS index of a factory string, trained on a sample of the vectors and filled with all of them.

    Raises:
        IndexFault: FAISS knows no such string, or cannot build it of these vectors.
    """
    try:
        index: faiss.Index = faiss.index_factory(vectors.shape[1], recipe, faiss.METRIC_INNER_PRODUCT)
        _check_readable(index)
        coder = innermost(index)
        if isinstance(coder, faiss.IndexPQ | faiss.IndexIVFPQ):
            coder.do_polysemous_training = (
                False  # orders codes for a search by Hamming distance: seconds each
            )
        with matrix_product(len(vectors)):  # many times faster for short vectors, such as parts of codes
            index.train(_sample(vectors, index, seed))
            index.add(vectors)
    except RuntimeError as error:
        reason = str(error).splitlines()[0].rpartition("Error: ")[2]
        raise IndexFault(
            f"a kind of index ({', '.join(KINDS)}, auto) or a FAISS factory string",
            f"{recipe!r} for {vectors.shape[1]} numbers: {reason}",
            "set index.kind; docs/index-kinds.md lists what there is",
        ) from error
    return index


def _warn_of_lengths(vectors: Vectors) -> None:
    """Say so when a graph may lose items: long vectors are everybody's neighbours, short ones nobody's."""
    short, long = np.quantile(np.linalg.norm(vectors[:SAMPLE], axis=1), [0.05, 0.95])
    if long > UNEVEN * short:
        log.warning(
            "item vectors have lengths from %.3g to %.3g: a graph of inner products finds few of the short "
            "ones; set index.metric to 'cosine' if that is meant, or index.kind to 'ivf_flat'",
            short,
            long,
        )


def _check_readable(index: faiss.Index) -> None:
    """Whether FAISS can give the vectors of such an index back.

    Raises:
        IndexFault: it crashes instead (1.15: lists for fast scanning that come from a file).
    """
    lists = None if isinstance(index, faiss.IndexRefine) else faiss.try_extract_index_ivf(index)
    if lists is not None and isinstance(faiss.downcast_index(lists), faiss.IndexIVFFastScan):
        found = "lists for fast scanning, which FAISS does not give its vectors back from"
        raise IndexFault("an index that can be filtered", found, "re-score: end the string with ',RFlat'")


def _sample(vectors: Vectors, index: faiss.Index, seed: int) -> Vectors:
    """As many vectors as FAISS would train on (256 a centroid), drawn by our seed."""
    inverted = faiss.try_extract_index_ivf(index)
    wanted = max(SAMPLE, 256 * inverted.nlist if inverted is not None else 0)
    if len(vectors) <= wanted:
        return vectors
    rows = np.random.default_rng(seed).choice(len(vectors), wanted, replace=False)
    return vectors[np.sort(rows)]


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


def read(folder: Path, settings: IndexSettings, mmap: bool = True) -> FaissIndex:
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
    _check_readable(stored)
    if (stored.ntotal, stored.d) != (kind.items, kind.dim):
        raise IndexFault(
            f"{kind.items} vectors of {kind.dim} numbers, as kind.json says",
            f"{stored.ntotal} of {stored.d}",
            "rebuild it with `aisle index`",
        )
    described = settings.model_copy(update=built_as)
    return ExactIndex.of(stored, described) if kind.kind == "exact" else ApproximateIndex(stored, described)


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
