"""The cheapest kind of index, and the least search effort, that find enough of a shop's own neighbours."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from aisle.index import kinds
from aisle.index.base import Index, Vectors
from aisle.index.errors import IndexFault
from aisle.index.knobs import turned
from aisle.index.searched import FaissIndex
from aisle.index.settings import IndexSettings, SearchSettings

LADDERS = {
    "nprobe": (1, 2, 4, 8, 16, 32, 64, 128, 256),
    "ef": (16, 32, 64, 128, 256, 512),
    "rescore": (1, 2, 4, 8, 16),
}
"""Efforts that are tried, least first."""

TUNED = ("exact", "ivf_flat", "ivf_sq8", "ivf_pq", "hnsw")
"""Kinds that are tried unless others are named."""


@dataclass(frozen=True)
class Trial:
    """One index with one effort.

    Attributes:
        settings: kind and effort.
        recall: share of the true `k` best that were found, mean of the queries.
        rate: queries per second of processor time of one batch.
        build: processor seconds that building the index took.
    """

    settings: IndexSettings
    recall: float
    rate: float
    build: float


def tune(
    vectors: Vectors,
    queries: Float[NDArray[np.float32], "b dim"],
    settings: IndexSettings,
    *,
    k: int = 100,
    recall: float = 0.95,
    tried: Sequence[str] = TUNED,
) -> tuple[Trial, list[Trial]]:
    """The fastest trial that reaches a recall, and all trials.

    The effort of a kind rises step by step until the recall is reached; exact search always does.

    Args:
        vectors: item vectors, float32 (n, dim).
        queries: what will be asked, float32 (b, dim).
        settings: metric, storage and device; kind and effort are chosen here.
        k: results that matter.
        recall: share of them that must be found.
        tried: kinds or FAISS factory strings.

    Raises:
        IndexFault: no kind reaches the recall, or one cannot be built.
    """
    exact = settings.model_copy(update={"kind": "exact", "storage": "float32"})
    truth = kinds.build(vectors, exact).search(queries, k)[1]
    trials = [trial for kind in tried for trial in _of_kind(kind, vectors, queries, settings, truth, recall)]
    enough = [trial for trial in trials if trial.recall >= recall]
    if not enough:
        best = max(trials, key=lambda trial: trial.recall)
        raise IndexFault(
            f"a recall of {recall:.3f} at {k}",
            f"at most {best.recall:.3f}, by {best.settings.kind}",
            "ask for less, keep float32, or add the kind 'exact'",
        )
    return max(enough, key=lambda trial: trial.rate), trials


def efforts(index: FaissIndex) -> Iterator[SearchSettings]:
    """Search settings that make a difference to an index, least effort first."""
    matter = sorted(turned(index.faiss))
    steps = sorted(product(*(range(len(LADDERS[name])) for name in matter)), key=sum)
    for step in steps:
        yield SearchSettings(**{name: LADDERS[name][place] for name, place in zip(matter, step, strict=True)})


def measured(
    index: Index, queries: Float[NDArray[np.float32], "b dim"], truth: Int[NDArray[np.int64], "b k"]
) -> tuple[float, float]:
    """Recall of an index, and its queries per second of processor time in one batch."""
    before = time.process_time()
    _, rows = index.search(queries, truth.shape[1])
    seconds = time.process_time() - before
    found = sum(len(np.intersect1d(*pair)) for pair in zip(rows, truth, strict=True))
    return found / truth.size, len(queries) / max(seconds, 1e-9)


def _of_kind(
    kind: str,
    vectors: Vectors,
    queries: Float[NDArray[np.float32], "b dim"],
    settings: IndexSettings,
    truth: Int[NDArray[np.int64], "b k"],
    recall: float,
) -> Iterator[Trial]:
    """Trials of one kind; an effort that is more than one that was enough in every way is not tried."""
    before = time.process_time()
    index = kinds.build(vectors, settings.model_copy(update={"kind": kind}))
    build = time.process_time() - before
    enough: list[SearchSettings] = []
    for effort in efforts(index):
        if any(_at_least(effort, less) for less in enough):
            continue
        chosen = settings.model_copy(update={"kind": kind, "search": effort})
        share, rate = measured(index.with_effort(effort), queries, truth)
        yield Trial(chosen, share, rate, build)
        if share >= recall:
            enough.append(effort)


def _at_least(effort: SearchSettings, other: SearchSettings) -> bool:
    return all(value >= getattr(other, name) for name, value in effort.model_dump().items())
