"""What is known of a shop's items at one moment: all that features are computed from but the user."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from scipy import sparse

from aisle.data.history import Histories
from aisle.data.ids import Rows
from aisle.data.prepared import Part, Prepared
from aisle.data.schema import DAY
from aisle.ranker.kinship import Alike, Counted, Kinship, Near
from aisle.ranker.linear import linear_weights
from aisle.retriever.cooccurrence import NEIGHBOURS, Pairs
from aisle.retriever.model import Model
from aisle.retriever.neighbours import largest

Floats = NDArray[np.float32]

HALF_LIVES = (7.0, 30.0, 365.0)
"""Days after which an event counts half, for each kind of recent popularity."""

SOON, LATER = 0.3, 0.8
"""A pair of events counts this ** (steps apart - 1): for what comes next, and for what follows."""

COUNTS = ("popularity", *(f"popularity {days:g} days" for days in HALF_LIVES))
"""Facts that are 0, and not unknown, for an item that nobody took."""

LEVELS = (1, 2, 3, 4)
"""Levels of a category path that are compared."""


@dataclass(frozen=True)
class Knowledge:
    """Facts about items.

    Attributes:
        counted: relations of items that were counted in histories, by name.
        vectors: of the items, unit length or zeros, by name.
        codes: what items may have in common, -1 where unknown, by name.
        facts: a number for each item, NaN where unknown, by name.
    """

    counted: dict[str, sparse.csr_array]
    vectors: dict[str, Floats]
    codes: dict[str, Rows]
    facts: dict[str, Floats]

    @classmethod
    def of(cls, prepared: Prepared, parts: tuple[Part, ...], model: Model) -> "Knowledge":
        """All that the events of `parts` and a retriever trained on them say about the items."""
        histories = prepared.histories(*parts).merge_repeats(prepared.target_kinds)
        return cls(
            _counted(histories, len(prepared.item_ids)),
            _vectors(model),
            _codes(prepared.items),
            _facts(prepared, histories),
        )

    @cached_property
    def kinships(self) -> dict[str, Kinship]:
        """The relations, by name."""
        return {
            **{name: Counted(matrix) for name, matrix in self.counted.items()},
            **{name: Near(vectors) for name, vectors in self.vectors.items()},
            **{name: Alike(codes) for name, codes in self.codes.items()},
        }

    def longer(self, shop: Prepared, model: Model) -> "Knowledge":
        """The same with items behind its own, which no event names.

        Args:
            shop: whose catalogue goes on behind the known items.
            model: the retriever, with the same items.
        """
        items, known = len(shop.item_ids), len(next(iter(self.facts.values())))
        facts = {
            name: np.concatenate(
                [values, np.full(items - known, 0 if name in COUNTS else np.nan, np.float32)]
            )
            for name, values in self.facts.items()
        }
        if "price" in facts:
            facts["price"] = _price(shop)
        return Knowledge(
            {name: _wider(matrix, items) for name, matrix in self.counted.items()},
            _vectors(model),
            _codes(shop.items),
            facts,
        )

    def save(self, folder: Path, extra: Mapping[str, Floats]) -> None:
        """Write `knowledge.safetensors` into a folder, with more columns of numbers for each item."""
        arrays: dict[str, NDArray[np.generic]] = {}
        for name, matrix in self.counted.items():
            arrays[f"counted.{name}.data"] = matrix.data.astype(np.float32)
            arrays[f"counted.{name}.indices"] = matrix.indices.astype(np.int64)
            arrays[f"counted.{name}.indptr"] = matrix.indptr.astype(np.int64)
        for kind in ("vectors", "codes", "facts"):
            arrays |= {
                f"{kind}.{name}": np.ascontiguousarray(value) for name, value in getattr(self, kind).items()
            }
        arrays |= {f"extra.{name}": np.ascontiguousarray(value) for name, value in extra.items()}
        save_file(arrays, folder / "knowledge.safetensors")

    @classmethod
    def load(cls, folder: Path) -> "tuple[Knowledge, dict[str, Floats]]":
        """Read what :meth:`save` wrote: the knowledge, and the columns."""
        arrays = load_file(folder / "knowledge.safetensors")
        by_kind: dict[str, dict[str, Any]] = {}
        for key, value in arrays.items():
            kind, _, name = key.partition(".")
            by_kind.setdefault(kind, {})[name] = value
        parts = by_kind.get("counted", {})
        counted = {}
        for name in sorted({key.rpartition(".")[0] for key in parts}):
            data, indices, indptr = (parts[f"{name}.{part}"] for part in ("data", "indices", "indptr"))
            counted[name] = sparse.csr_array((data, indices, indptr), (len(indptr) - 1,) * 2)
        vectors, codes, facts, extra = (
            by_kind.get(kind, {}) for kind in ("vectors", "codes", "facts", "extra")
        )
        return cls(counted, vectors, codes, facts), extra


def _counted(histories: Histories, items: int) -> dict[str, sparse.csr_array]:
    """What was taken after, before and together with what."""
    events = np.bincount(histories.items, minlength=items).astype(np.float32)
    pairs = Pairs(histories, items)
    return {
        "next": _damped(pairs.counts(SOON, 0.0, None), events),
        "follows": _damped(follows := pairs.counts(LATER, 0.0, None), events),
        "precedes": _damped(follows.T.tocsr(), events),
        "together": _cosine(histories, items, events),
        "linear": linear_weights(histories, items),
    }


def _damped(
    counts: sparse.csr_array, events: Floats, source: float = 0.5, target: float = 0.3
) -> sparse.csr_array:
    """Counts divided by powers of the events of both items, as in :mod:`aisle.retriever.cooccurrence`."""
    rows = np.repeat(np.arange(len(events)), np.diff(counts.indptr))
    values = counts.data / (events[rows] ** source * events[counts.indices] ** target + 1)
    damped = sparse.csr_array((values.astype(np.float32), counts.indices, counts.indptr), counts.shape)
    return largest(damped, NEIGHBOURS)


def _cosine(histories: Histories, items: int, events: Floats, shrink: float = 10.0) -> sparse.csr_array:
    """Cosine of the items' users, damped where few support it."""
    owner = np.repeat(np.arange(len(histories)), histories.lengths)
    ones = np.ones(len(histories.items), np.float32)
    had = sparse.csr_array((ones, (owner, histories.items)), (len(histories), items))
    had.data[:] = 1
    both = sparse.csr_array(had.T @ had)
    rows = np.repeat(np.arange(items), np.diff(both.indptr))
    values = both.data / (np.sqrt(events[rows] * events[both.indices]) + shrink)
    values[rows == both.indices] = 0
    return largest(
        sparse.csr_array((values.astype(np.float32), both.indices, both.indptr), both.shape), NEIGHBOURS
    )


def _vectors(model: Model) -> dict[str, Floats]:
    """Vectors of texts, and of each tower."""
    with torch.inference_mode():
        found = {name: tower.item_vectors().float().cpu().numpy() for name, tower in model.towers.items()}
    if model.text is not None:
        found["text"] = model.text.numpy()
    return {name: Near.of(vectors).vectors for name, vectors in found.items()}


def _codes(items: pl.DataFrame) -> dict[str, Rows]:
    """Codes of brands, and of the beginnings of category paths."""
    brand = pl.col("brand").str.to_lowercase().str.strip_chars()
    wanted = {"brand": pl.when(brand != "").then(brand)}
    for level in LEVELS:
        path = pl.col("categories").list.head(level).list.join("\0")
        wanted[f"category {level}"] = pl.when(pl.col("categories").list.len() >= level).then(path)
    named = items.select(**wanted)
    codes = named.select(pl.all().rank("dense").cast(pl.Int64).fill_null(-1))
    return {name: codes[name].to_numpy() for name in named.columns if named[name].null_count() < len(named)}


def _facts(prepared: Prepared, histories: Histories) -> dict[str, Floats]:
    """Popularity, when in their histories users take an item, and price."""
    items, lengths = len(prepared.item_ids), histories.lengths
    events = np.bincount(histories.items, minlength=items)
    place = (np.arange(len(histories.items)) - np.repeat(histories.offsets[:-1], lengths) + 1) / np.repeat(
        lengths, lengths
    )

    def mean_over_events(values: NDArray[np.float64]) -> NDArray[np.float64]:
        sums = np.bincount(histories.items, values, minlength=items)
        means: NDArray[np.float64] = np.divide(sums, events, out=np.full(items, np.nan), where=events > 0)
        return means

    last = np.zeros(len(histories.items))
    last[histories.offsets[1:][lengths > 0] - 1] = 1
    found = {
        "popularity": np.log1p(events),
        "place": mean_over_events(place),
        "last share": mean_over_events(last),
        "buyers' events": mean_over_events(np.log(np.repeat(lengths, lengths))),
    }
    if prepared.timed and len(histories.times):
        age = (histories.times.max() - histories.times) / DAY
        for days in HALF_LIVES:
            weights = np.exp2(-age / days)
            found[f"popularity {days:g} days"] = np.log1p(
                np.bincount(histories.items, weights, minlength=items)
            )
    if prepared.items["price"].null_count() < items:
        found["price"] = _price(prepared)
    return {name: values.astype(np.float32) for name, values in found.items()}


def _price(shop: Prepared) -> Floats:
    """Logarithm of each price; NaN where it is unknown, or no price (0)."""
    price = shop.items["price"].fill_null(np.nan).to_numpy()
    known: Floats = np.log(np.where(price > 0, price, np.nan)).astype(np.float32)
    return known


def _wider(matrix: sparse.csr_array, items: int) -> sparse.csr_array:
    """The same in a matrix with empty rows and columns behind its own."""
    indptr = np.concatenate([matrix.indptr, np.full(items - matrix.shape[0], matrix.indptr[-1])])
    return sparse.csr_array((matrix.data, matrix.indices, indptr), (items, items))
