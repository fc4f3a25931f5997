"""Kinds of index as FAISS factory strings, and which kind a catalogue calls for."""

import os
from collections.abc import Callable
from math import log2, sqrt
from typing import Literal, TypeGuard, get_args

from aisle.index.settings import Metric, Storage

Kind = Literal["exact", "ivf_flat", "ivf_sq8", "ivf_sq4", "ivf_pq", "ivf_binary", "hnsw", "cagra"]
KINDS: tuple[Kind, ...] = get_args(Kind)

CODECS: dict[Storage, str] = {"float32": "Flat", "fp16": "SQfp16", "int8": "SQ8"}
"""How FAISS names the ways to keep vectors."""

BYTES: dict[Storage, int] = {"float32": 4, "fp16": 2, "int8": 1}
"""Of one number of a vector."""

POINTS = 39
"""Training vectors that FAISS wants for each centroid (`ClusteringParameters.min_points_per_centroid`)."""

EXACT_UP_TO = 200_000
"""Items that are searched exactly on a CPU when the kind is `auto`."""

EXACT_ON_GPU = 0.5
"""Share of the memory of the GPUs that exact vectors may take when the kind is `auto`."""

WHOLE_UP_TO = 0.5
"""Share of the machine's memory that whole vectors may take when the kind is `auto`."""


def is_kind(name: str) -> TypeGuard[Kind]:
    """Whether a name is that of a kind, and not a FAISS factory string."""
    return name in KINDS


def lists(items: int) -> int:
    """Inverted lists for so many items: the power of two next to 4 sqrt(n), less where training would starve.

    The 4 is the lower end of what FAISS's guide to choosing an index recommends, and builds the quickest.

    >>> lists(1_000_000), lists(3_000), lists(10)
    (4096, 64, 1)
    """
    wanted = 1 << round(log2(4 * sqrt(items)))
    while wanted > 1 and wanted * POINTS > items:
        wanted //= 2
    return max(wanted, 1)


def factory(kind: Kind, items: int, dim: int, storage: Storage, n_lists: int | None = None) -> str:
    """The FAISS factory string of a kind for items of `dim` numbers; lists are `n_lists`, or `lists(items)`.

    >>> factory("ivf_pq", 1_000_000, 384, "fp16")
    'IVF4096,PQ96x8,Refine(SQfp16)'
    >>> factory("hnsw", 1_000_000, 384, "float32")
    'HNSW32,Flat'
    >>> factory("ivf_flat", 1_000_000, 384, "fp16", n_lists=256)
    'IVF256,SQfp16'
    """
    codec = CODECS[storage]
    inverted = f"IVF{n_lists or lists(items)}"
    rescored = "RFlat" if storage == "float32" else f"Refine({codec})"
    recipes: dict[Kind, Callable[[], str]] = {
        "exact": lambda: codec,
        "ivf_flat": lambda: f"{inverted},{codec}",
        "ivf_sq8": lambda: f"{inverted},SQ8,{rescored}",
        "ivf_sq4": lambda: f"{inverted},SQ4,{rescored}",
        "ivf_pq": lambda: f"{_padded(dim)}{inverted},{_codes(items, dim)},{rescored}",
        "ivf_binary": lambda: f"{inverted},RaBitQ,{rescored}",
        "hnsw": lambda: f"HNSW32,{codec}",
        "cagra": lambda: f"HNSW32,{codec}",
    }
    return recipes[kind]()


def _padded(dim: int) -> str:
    """Zeros up to a multiple of four numbers, so that sub-vectors of four fit."""
    return f"Pad{-(-dim // 4) * 4}," if dim % 4 else ""


def _codes(items: int, dim: int) -> str:
    """A code for every four numbers, of as many bits as the items can train."""
    bits = next((bits for bits in (8, 6) if items >= POINTS << bits), 4)
    return f"PQ{-(-dim // 4)}x{bits}"


def chosen(
    items: int, dim: int, storage: Storage, metric: Metric, *, memory: int, gpu_memory: int = 0
) -> Kind:
    """The kind that `auto` stands for; the table of docs/index-kinds.md.

    Args:
        items: number of them.
        dim: length of a vector.
        storage: how vectors are kept.
        metric: graphs are for cosine, whose vectors are equally long.
        memory: of the machine, bytes.
        gpu_memory: of all GPUs that may be used, bytes; 0 without.

    >>> chosen(50_000, 384, "float32", "cosine", memory=8 << 30)
    'exact'
    >>> chosen(1_000_000, 384, "float32", "cosine", memory=8 << 30)
    'hnsw'
    >>> chosen(1_000_000, 384, "float32", "inner_product", memory=8 << 30)
    'ivf_flat'
    >>> chosen(10_000_000, 384, "float32", "cosine", memory=8 << 30)
    'ivf_pq'
    >>> chosen(10_000_000, 384, "fp16", "cosine", memory=8 << 30, gpu_memory=80 << 30)
    'exact'
    """
    size = items * dim * BYTES[storage]
    if items <= EXACT_UP_TO or (storage != "int8" and size <= EXACT_ON_GPU * gpu_memory):
        return "exact"
    if size > WHOLE_UP_TO * memory:
        return "ivf_pq"
    return "hnsw" if metric == "cosine" else "ivf_flat"


def machine_memory() -> int:
    """Physical memory of this machine, bytes."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
