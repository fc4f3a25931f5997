"""Measure a machine: texts, indices, pairs and the disk, each for some seconds."""

import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import faiss
import numpy as np
import polars as pl
from numpy.typing import NDArray

from aisle.data.progress import track
from aisle.index import kinds
from aisle.index.recipes import factory, is_kind, lists, machine_memory
from aisle.index.screen import fewest_vectors
from aisle.index.settings import IndexSettings
from aisle.memory import peak, reset_peak
from aisle.planning.figures import Disk, Figures, IndexFigures, IndexPoint, LanguageModel, Machine, Point
from aisle.planning.fleet import BATCH
from aisle.provenance import versions

if TYPE_CHECKING:
    from aisle.ranker import Ranker
    from aisle.retriever.encoder import Encoder

TOKENS = (16, 32, 64, 128)
"""Words of the texts that are measured; longer ones where the encoder reads longer ones."""

NUMBERS = 1 << 24
"""In the vectors of the indices that are measured: 64 MiB, beyond the caches of most processors, and beyond
the 32 MiB up to which malloc gives memory that was used before."""

ITEMS = 40_000
"""At least, however long the vectors are."""

CLOCK = time.perf_counter
"""What seconds are counted by."""

REPEATS = 3
"""The median of so many counts."""

K = 100
"""Results of a query."""

EVENTS = 20
"""Of a user whose candidates are ranked."""

WRITTEN = 128 << 20
"""Bytes written to the disk and read again."""

CANDIDATES = 200_000
"""Rows of candidates whose size in Parquet is looked at."""

SHELF = (
    "red blue green small large cotton leather wooden steel glass kitchen garden summer winter shirt shoes "
    "table chair lamp "
    "phone case cover book paper brush paint game puzzle music guitar camera light bag bottle cup knife "
    "cream soap hair "
    "skin dog cat baby toy car bike tent rope battery cable screen mouse desk"
)
"""Plain words, of which texts are made."""


def bench(
    encoder: "Encoder",
    index: IndexSettings,
    *,
    kinds_measured: Sequence[str],
    seconds: float = 3.0,
    dim: int | None = None,
    ranker: "Ranker | None" = None,
) -> Figures:
    """Figures of this machine, the encoder's device included.

    Args:
        encoder: language model, as it would be used.
        index: settings of the indices, but for their kind.
        kinds_measured: kinds of index.
        seconds: for each figure that can be measured for any time; builds take what they take.
        dim: length of the vectors in the indices; those of the encoder unless told.
        ranker: a trained one, to measure what a pair takes.

    Raises:
        IndexFault: a kind of index is unknown.
    """
    dim = dim or encoder.dim
    machine = Machine(
        processor=processor(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory=machine_memory(),
        device=str(next(encoder.model.parameters()).device),
        versions=versions(),
        measured=datetime.now(UTC).date().isoformat(),
    )
    language_model = measured_model(encoder, seconds)
    indices = [
        measured_index(index.model_copy(update={"kind": kind}), dim, seconds)
        for kind in track(kinds_measured, "measuring indices")
    ]
    pair = None if ranker is None else seconds_of_pair(ranker, seconds)
    return Figures(
        machine=machine, language_model=language_model, indices=indices, disk=measured_disk(), pair=pair
    )


def measured_model(encoder: "Encoder", seconds: float) -> LanguageModel:
    """What a language model is made of, and the seconds of a text by its tokens."""
    longest = encoder.settings.max_tokens - encoder.special_tokens
    lengths = sorted({min(tokens, longest) for tokens in (*TOKENS, longest)})
    rng = np.random.default_rng(0)
    reset_peak()
    points = []
    for words in track(lengths, "measuring texts"):
        few = texts_of(words, 64, rng)
        encoder.encode(few[:8])  # warm
        rate = len(few) / timed(encoder.encode, few)
        n_texts = int(min(max(len(few), rate * seconds / REPEATS), 50_000))
        parts = [texts_of(words, n_texts, rng) for _ in range(REPEATS)]
        spent = median(timed(encoder.encode, part) for part in parts)
        tokens = np.mean([encoder.count_tokens(text) for text in few]) + encoder.special_tokens
        read = min(float(tokens), float(encoder.settings.max_tokens))
        points.append(Point(size=read, seconds=spent / n_texts))
    inside = [weights for name, weights in encoder.model.named_parameters() if "embedding" not in name]
    config = encoder.model.config
    return LanguageModel(
        name=encoder.settings.model,
        dim=encoder.dim,
        weights=sum(weights.numel() for weights in inside),
        layers=int(config.num_hidden_layers),  # type: ignore[union-attr, arg-type]
        width=int(config.hidden_size),  # type: ignore[union-attr, arg-type]
        memory=peak(),
        texts=points,
    )


def measured_index(settings: IndexSettings, dim: int, seconds: float) -> IndexFigures:
    """Builds and searches of one kind at several sizes; few and many lists, few and many of them read."""
    kind, nprobe = settings.kind, settings.search.nprobe
    queries = vectors_of(BATCH, dim, seed=1)
    builds, searches = [], []
    for items, n_lists in shapes(kind, dim):
        vectors = vectors_of(items, dim)
        recipe = kind
        if n_lists is not None and is_kind(kind):
            recipe = factory(kind, items, dim, settings.storage, n_lists)
        built: list[float] = []
        while sum(built) < seconds:
            began = CLOCK()
            index = kinds.build(vectors, settings.model_copy(update={"kind": recipe}))
            built.append(CLOCK() - began)
        builds.append(IndexPoint(size=items, seconds=median(built), lists=n_lists))
        efforts: Sequence[int | None] = [None]
        if n_lists is not None:
            efforts = sorted({min(effort, n_lists) for effort in (-(-nprobe // 4), nprobe, 4 * nprobe)})
        for effort in efforts:
            more = {} if effort is None else {"nprobe": effort}
            looked = index.with_effort(settings.search.model_copy(update=more))
            faiss.cvar.indexIVF_stats.reset()
            looked.search(queries, K)  # warm
            read = {
                "lists": n_lists,
                "nprobe": effort,
                "visited": faiss.cvar.indexIVF_stats.ndis / BATCH or None,
            }
            spent = median(repeated(seconds / len(efforts), looked.search, queries, K))
            searches.append(IndexPoint(size=items, seconds=spent / BATCH, **read))
    return IndexFigures(
        kind=kind,
        dim=dim,
        storage=settings.storage,
        batch=BATCH,
        k=K,
        nprobe=nprobe,
        builds=builds,
        searches=searches,
    )


def shapes(kind: str, dim: int) -> list[tuple[int, int | None]]:
    """Items and inverted lists of the indices that are measured.

    Lists are not those that the sizes call for: as many items with 4 times the lists tell what comparing with
    lists costs from what items cost, whatever the noise, and the most lists are near those of larger indices.
    """
    few = max(ITEMS, NUMBERS // dim)
    if kind == "exact":  # smaller ones are searched in another way
        few = max(few, fewest_vectors(dim))
        return [(few, None), (3 * few, None)]
    if kind == "hnsw":
        return [(few // 2, None), (few, None), (2 * few, None)]
    return [(few, max(lists(few) // 4, 1)), (few, lists(few)), (2 * few, 2 * lists(few))]


def seconds_of_pair(ranker: "Ranker", seconds: float) -> float:
    """Seconds to rank a candidate."""
    few = lists_to_rank(ranker, 8)
    ranker.rank_many(few)
    rate = len(few) / timed(ranker.rank_many, few)
    users = int(min(max(8, rate * seconds / REPEATS), 10_000))
    parts = [lists_to_rank(ranker, users, seed) for seed in range(REPEATS)]
    pairs = int(parts[0]["candidates"].list.len().sum())
    return median(timed(ranker.rank_many, part) for part in parts) / pairs


def lists_to_rank(ranker: "Ranker", users: int, seed: int = 0) -> pl.DataFrame:
    """Lists of items of the shop for users with some events, as `Ranker.rank_many` takes them."""
    items = ranker.retriever.prepared.item_ids.values
    rng = np.random.default_rng(seed)
    drawn = [items.gather(rng.permutation(len(items))[: EVENTS + K]).to_list() for _ in range(users)]
    return pl.DataFrame(
        {
            "user_id": [str(user) for user in range(users)],
            "history": [one[:EVENTS] for one in drawn],
            "candidates": [one[EVENTS:] for one in drawn],
        }
    )


def measured_disk() -> Disk:
    """Speed of the disk of the temporary folder, and the size of a candidate in Parquet."""
    content = np.random.default_rng(0).bytes(WRITTEN)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "content"
        began = time.perf_counter()
        with path.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            wrote = time.perf_counter() - began
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(
                    file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED
                )  # read from the disk, not from memory
        read = timed(path.read_bytes)
        rng = np.random.default_rng(0)
        users = CANDIDATES // K
        rows = pl.DataFrame(
            {
                "user_id": np.repeat([f"user-{user:09d}" for user in range(users)], K),
                "rank": np.tile(np.arange(1, K + 1), users),
                "item_id": pl.Series([f"item-{item:09d}" for item in rng.integers(10**8, size=CANDIDATES)]),
                "score": rng.random(CANDIDATES, np.float32),
            }
        )
        rows.write_parquet(path)
        return Disk(write=WRITTEN / wrote, read=WRITTEN / read, row=path.stat().st_size / CANDIDATES)


def texts_of(words: int, n: int, rng: np.random.Generator) -> list[str]:
    """Texts of so many plain words each, no two the same but by chance."""
    return [" ".join(row) for row in rng.choice(SHELF.split(), (n, words))]


def vectors_of(n: int, dim: int, seed: int = 0) -> NDArray[np.float32]:
    """Vectors of unit length, float32 (n, dim), with a variance of 1/i along the i-th axis before that.

    An index of them behaves with its size as one of texts does: a walk in a graph takes so many steps more
    for each doubling, and lists are uneven. With a fixed number of clusters it does not: a graph of 1,000 of
    them is the slowest at 10 vectors in each, and quicker beyond.
    """
    vectors = np.random.default_rng(seed).standard_normal((n, dim), np.float32)
    vectors /= np.sqrt(np.arange(1, dim + 1, dtype=np.float32))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def timed(work: Callable[..., object], *given: object) -> float:
    """Seconds of some work."""
    began = CLOCK()
    work(*given)
    return CLOCK() - began


def repeated(seconds: float, work: Callable[..., object], *given: object) -> Iterator[float]:
    """Seconds of the same work, three times at least and then until `seconds` are over."""
    spent = 0.0
    count = 0
    while count < REPEATS or spent < seconds:
        one = timed(work, *given)
        spent, count = spent + one, count + 1
        yield one


def processor() -> str:
    """Name of the processor, as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(": ")[2] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
