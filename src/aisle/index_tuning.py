"""Vectors and queries to tune an index on: of a run and its users, or of an index that is served."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aisle.data.prepared import BEFORE
from aisle.settings import Settings

Vectors = NDArray[np.float32]


def of_run(out: Path, settings: Settings, queries: int) -> tuple[Vectors, Vectors]:
    """The item vectors that a run searches, and those of a sample of its users before the test.

    Args:
        out: folder of the run.
        settings: with the seed of the sample.
        queries: size of the sample.

    Raises:
        InputError: a stage is missing or damaged.
    """
    from aisle.recommender import Recommender

    found = Recommender.open(out, settings.index.model_copy(update={"device": "cpu"}))
    users = _sample(len(found.prepared.user_ids), queries, settings.seed)
    sources = found.retriever.sources
    return found.retriever.index.vectors, sources.queries(sources.ask(users, *BEFORE["test"]))


def of_versions(place: str, queries: int, seed: int) -> tuple[Vectors, Vectors]:
    """The vectors of the live version of an index, and a sample of them as queries.

    Args:
        place: folder or URL of the versions.
        queries: size of the sample.
        seed: of the sample.

    Raises:
        IndexFault: nothing is published there, or it is damaged.
    """
    from aisle.index.versions import Versions

    opened = Versions(place).open()
    try:
        vectors = np.array(opened.stored.vectors)
    finally:
        opened.close()
    return vectors, vectors[_sample(len(vectors), queries, seed)]


def _sample(n: int, most: int, seed: int) -> NDArray[np.int64]:
    return np.sort(np.random.default_rng(seed).permutation(n)[:most])
