"""What an index has to show before it goes live: recall, likeness to the live one, sound vectors."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from jaxtyping import Float, Int
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from aisle.index.base import NONE, Index
from aisle.index.rebuild_settings import GateSettings

ROWS_AT_ONCE = 1 << 16
"""Vectors that the exact search of the sample reads at once."""

GONE = NONE - 1
"""Row of an item that the new version does not have."""

TIE = 1e-5
"""Difference of scores, relative to larger ones than 1, that is rounding."""

Scores = Float[NDArray[np.float32], " sample"]
Vectors = Float[NDArray[np.float32], "n dim"]
Neighbours = Int[NDArray[np.int64], "sample k"]


class Finding(BaseModel):
    """One check: what was measured, and what was wanted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    check: str
    value: float
    wanted: str = Field(description="in words, such as `at least 0.95`")
    passed: bool

    def __str__(self) -> str:
        return f"{self.check} {self.value:.4g}, {self.wanted}: {'passed' if self.passed else 'FAILED'}"


@dataclass(frozen=True)
class Side:
    """An index with what belongs to it.

    Attributes:
        index: searches.
        ids: of its rows.
        vectors: as they came, float32 (n, dim).
        metric: inner_product or cosine.
        rows: those that have an item; None: all.
    """

    index: Index
    ids: pl.Series
    vectors: Vectors
    metric: str = "inner_product"
    rows: Int[NDArray[np.int64], " items"] | None = None

    @property
    def items(self) -> Int[NDArray[np.int64], " items"]:
        """Rows that have an item."""
        return np.arange(len(self.ids), dtype=np.int64) if self.rows is None else self.rows


def inspect(fresh: Side, live: Side | None, settings: GateSettings) -> list[Finding]:
    """Measure a new index, alone and beside the live one.

    recall      share of the `k` neighbours of sampled items that are as near as those of exact search
    overlap     of the neighbours of sampled items that both versions have, the share that both name
    not finite  vectors with NaN or infinity
    zero        share of vectors without length
    norm drift  change of the mean length against the live version, as a share of it
    count drift change of the number of items, as a share of the live version's

    Args:
        fresh: the new index, an item in each row.
        live: what is served, changes included; None for the first.
        settings: thresholds, and how much is sampled.
    """
    norms = lengths(fresh.vectors)
    spoilt = int((~np.isfinite(norms)).sum())
    findings = [
        at_most("not finite", float(spoilt), 0.0),
        at_most("zero", float((norms == 0).mean()), settings.max_zero),
    ]
    if spoilt:
        return findings
    rows = sampled(np.arange(len(fresh.ids), dtype=np.int64), settings.sample)
    findings.append(at_least("recall", recall(fresh, rows, settings.k), settings.min_recall))
    if live is None:
        return findings
    before = lengths(live.vectors)[live.items]
    drift = abs(float(norms.mean()) / max(float(before.mean()), 1e-12) - 1)
    count = abs(len(fresh.ids) / max(len(live.items), 1) - 1)
    return [
        *findings,
        at_most("norm drift", drift, settings.max_norm_drift),
        at_most("count drift", count, settings.max_count_drift),
        at_least("overlap", overlap(fresh, live, settings), settings.min_overlap),
    ]


def overlap(fresh: Side, live: Side, settings: GateSettings) -> float:
    """Mean share of the neighbours that both versions name, over sampled items of both; 0 without any."""
    new = pl.DataFrame({"id": fresh.ids, "new": np.arange(len(fresh.ids), dtype=np.int64)})
    old = pl.DataFrame({"id": live.ids.gather(live.items), "old": live.items})
    common = new.join(old, on="id", maintain_order="left")
    chosen = common[sampled(np.arange(len(common), dtype=np.int64), settings.sample)]
    if not len(chosen):
        return 0.0
    ours = neighbours(fresh, chosen["new"].to_numpy(), settings.k)
    found = neighbours(live, chosen["old"].to_numpy(), settings.k)
    now = np.full(len(live.ids), GONE)  # of each row of the live version, the row of the same item
    now[common["old"].to_numpy()] = common["new"].to_numpy()
    theirs = np.where(found == NONE, NONE, now[found])
    both = ((ours[:, :, None] == theirs[:, None, :]) & (ours != NONE)[:, :, None]).any(axis=2).sum(axis=1)
    either = np.maximum((ours != NONE).sum(axis=1), (theirs != NONE).sum(axis=1))
    return float(np.mean(both / np.maximum(either, 1)))


def neighbours(side: Side, rows: Int[NDArray[np.int64], " sample"], k: int) -> Neighbours:
    """Rows of the `k` items nearest to each of some items, itself left out."""
    queries = np.ascontiguousarray(side.vectors[rows], np.float32)
    _, found = side.index.search(queries, k, [np.array([row]) for row in rows])
    return found


def kth_scores(side: Side, rows: Int[NDArray[np.int64], " sample"], k: int) -> Scores:
    """Score of the `k`-th best neighbour of each item by a plain matrix product; -inf without one."""
    queries = compared(side, side.vectors[rows])
    best = np.full((len(rows), k), -np.inf, np.float32)
    for start in range(0, len(side.vectors), ROWS_AT_ONCE):
        part = compared(side, side.vectors[start : start + ROWS_AT_ONCE])
        scores = queries @ part.T
        here = (rows >= start) & (rows < start + len(part))
        scores[np.flatnonzero(here), rows[here] - start] = -np.inf
        both = np.concatenate([best, scores], axis=1)
        best = np.partition(both, -k, axis=1)[:, -k:]
    worst: Scores = best.min(axis=1)
    return worst


def recall(side: Side, rows: Int[NDArray[np.int64], " sample"], k: int) -> float:
    """Mean share of `k` neighbours that are as near as the exact ones.

    A neighbour counts if its exact score is no worse than that of the `k`-th best, up to `TIE`: among items
    with equal texts, none is more right than another (Aumueller et al. 2020, "ANN-Benchmarks", section 2.2).
    """
    found = neighbours(side, rows, k)
    queries = compared(side, side.vectors[rows])
    wanted = np.minimum(k, len(side.vectors) - 1)
    if not wanted:
        return 1.0
    there = found != NONE
    vectors = compared(side, side.vectors[np.where(there, found, 0).ravel()]).reshape(*found.shape, -1)
    scores = np.einsum("sd,skd->sk", queries, vectors)
    worst = kth_scores(side, rows, int(wanted))[:, None]
    near = there & (scores >= worst - TIE * np.maximum(1, np.abs(worst)))
    return float((near.sum(axis=1) / wanted).mean())


def compared(side: Side, vectors: Vectors) -> Vectors:
    """Vectors whose inner products are the index's metric."""
    ready = np.ascontiguousarray(vectors, np.float32)
    return unit(ready) if side.metric == "cosine" else ready


def sampled(rows: Int[NDArray[np.int64], " n"], size: int) -> Int[NDArray[np.int64], " sample"]:
    """At most `size` of the rows, the same ones each time, sorted."""
    if len(rows) <= size:
        return rows
    chosen: NDArray[np.int64] = np.sort(np.random.default_rng(0).choice(rows, size, replace=False))
    return chosen


def lengths(vectors: Vectors) -> Float[NDArray[np.float64], " n"]:
    """Length of each vector; NaN or infinity where it holds one."""
    found: NDArray[np.float64] = np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64))
    return found


def unit(vectors: Vectors) -> Vectors:
    """Vectors of length 1; zeros stay."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    found: Vectors = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
    return found


def at_least(check: str, value: float, threshold: float) -> Finding:
    """A finding whose value must not be smaller."""
    return Finding(check=check, value=value, wanted=f"at least {threshold:g}", passed=value >= threshold)


def at_most(check: str, value: float, threshold: float) -> Finding:
    """A finding whose value must not be larger."""
    return Finding(check=check, value=value, wanted=f"at most {threshold:g}", passed=value <= threshold)
