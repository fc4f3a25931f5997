"""A new version of an index from texts: what changed is encoded, the gate looks, the pointer moves."""

import hashlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from jaxtyping import Float
from numpy.typing import NDArray

from aisle.durable import remove
from aisle.index import store
from aisle.index.cache import VectorCache, key_of
from aisle.index.description import Description
from aisle.index.errors import IndexFault
from aisle.index.kinds import build
from aisle.index.pointer import Publication
from aisle.index.publishing import collect, publish
from aisle.index.rebuild_settings import RebuildSettings
from aisle.index.searched import check_vectors
from aisle.index.settings import IndexSettings
from aisle.index.versions import Versions

log = logging.getLogger(__name__)

Vectors = Float[NDArray[np.float32], "n dim"]
Step = Literal["lock", "encode", "build", "add", "publish", "collect", "settle"]
"""The steps of a rebuild, in their order."""


@dataclass(frozen=True)
class Source:
    """What an index is made of.

    Attributes:
        ids: of the items, all different.
        texts: one for each.
        encode: vectors of texts, float32 (texts, dim), and how to name that work while it goes on; called for
            those that are not in the cache.
        encoder: fingerprint of `encode`: the cache belongs to it.
        model: fingerprint of what makes the queries.
        finish: item vectors from the vectors of their texts, in the order of `ids`; None: they are the same.
        counts: what was counted while the items were read.
    """

    ids: pl.Series
    texts: Sequence[str]
    encode: Callable[[list[str], str], Vectors]
    encoder: str
    model: str
    finish: Callable[[Vectors], Vectors] | None = None
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Rebuilt:
    """What came of a rebuild.

    Attributes:
        version: the one that is live now.
        status: "unchanged" where the live one has the same items, texts, model and settings.
        encoded: texts that had to be encoded.
        items: of the version.
        publication: how it went live; None where nothing changed.
        seconds: by step.
    """

    version: str
    status: Literal["published", "unchanged"]
    encoded: int
    items: int
    publication: Publication | None
    seconds: Mapping[str, float]


class Clock:
    """Seconds of each step; tells whoever listens which step begins."""

    def __init__(self, listener: Callable[[str], None] | None) -> None:
        self.seconds: dict[str, float] = {}
        self._listener = listener
        self._step: str | None = None
        self._started = time.perf_counter()

    def begin(self, step: Step) -> None:
        """Note that a step begins, and the earlier one ends."""
        self.end()
        self._step, self._started = step, time.perf_counter()
        if self._listener is not None:
            self._listener(step)

    def end(self) -> None:
        """Note that the step ends."""
        if self._step is not None:
            self.seconds[self._step] = time.perf_counter() - self._started
        self._step = None


def rebuild(
    versions: Versions,
    source: Source,
    settings: IndexSettings,
    job: RebuildSettings,
    *,
    force: bool = False,
    why: str = "",
    listener: Callable[[str], None] | None = None,
) -> Rebuilt:
    """Build a version, publish it, and remove old ones. Killed at any moment, the next call goes on.

    Args:
        versions: of the index.
        source: items and their texts.
        settings: of the index.
        job: versions to keep, and the gate.
        force: publish although the gate fails.
        why: the reason for that.
        listener: called with the name of each step (`Step`) as it begins.

    Raises:
        GateFault: the new version is there, but does not pass the gate; the live one stays.
        IndexFault: no items, ids that are not all different, vectors that cannot be used, another process at
            work, or a place that cannot be written.
    """
    check_source(source)
    clock = Clock(listener)
    clock.begin("lock")
    with versions.writing():
        keys = [key_of(text) for text in source.texts]
        data = fingerprint_of(source.ids, keys)
        before = versions.pointer()
        name = _there(versions, source, data, settings)
        if before is not None and name == before.version and not before.delta:
            clock.end()
            return Rebuilt(name, "unchanged", 0, len(source.ids), None, clock.seconds)
        encoded = 0
        if name is None:
            clock.begin("encode")
            cache = VectorCache(cache_of(versions, source.encoder))
            vectors, encoded = embedded(cache, keys, source, job.block)
            clock.begin("build")
            item_vectors = vectors if source.finish is None else source.finish(vectors)
            name = versions.name_for(data)
            folder = versions.work / ".partial" / name
            folder.mkdir(parents=True)
            store.save(
                build(item_vectors, settings),
                source.ids,
                folder,
                model=source.model,
                encoder=source.encoder,
                data=data,
                settings=settings,
                counts={**source.counts, "encoded": encoded},
                vectors=item_vectors,
                texts=None if source.finish is None else vectors,
                said=None if source.finish is None else source.texts,
            )
            clock.begin("add")
            versions.add(folder, name)
            clock.begin("settle")
            cache.settle(keys)
        clock.begin("publish")
        try:
            publication = publish(versions, name, settings, job.gate, force=force, why=why)
        finally:
            clock.begin("collect")
            collect(versions, job.keep)
            clock.end()
        _forget_encoders(versions, source.encoder)
    return Rebuilt(name, "published", encoded, len(source.ids), publication, clock.seconds)


def cache_of(versions: Versions, encoder: str) -> Path:
    """Folder with the vectors of texts by one encoder, whatever its fingerprint looks like."""
    return versions.work / "cache" / hashlib.sha256(encoder.encode()).hexdigest()[:16]


def _forget_encoders(versions: Versions, encoder: str) -> None:
    """Remove vectors by encoders of versions that are gone: a model trained every night is a new one each."""
    made = [one.description.encoder for one in versions.listing() if one.description is not None]
    used = {cache_of(versions, one) for one in (encoder, *made)}
    for folder in cache_of(versions, encoder).parent.glob("*"):
        if folder not in used:
            remove(folder)


def check_source(source: Source) -> None:
    """Whether there are items with a text each, and ids that are all different.

    Raises:
        IndexFault: not so.
    """
    if not len(source.ids) or len(source.ids) != len(source.texts):
        found = f"{len(source.ids)} ids, {len(source.texts)} texts"
        raise IndexFault("items with a text each", found, "check the catalogue")
    if source.ids.n_unique() != len(source.ids) or source.ids.null_count():
        twice = source.ids.filter(source.ids.is_duplicated() | source.ids.is_null())[0]
        raise IndexFault("ids that are all different", f"{twice!r} more than once", "check the catalogue")


def embedded(
    cache: VectorCache,
    keys: Sequence[bytes],
    source: Source,
    block: int,
) -> tuple[Vectors, int]:
    """Vectors of all texts, those that are not in the cache encoded a block at a time.

    Returns:
        float32 (texts, dim), and how many texts were encoded.

    Raises:
        IndexFault: the encoder gives another number of vectors, vectors of another dimension, or NaN or
            infinity among them.
    """
    vectors, known = cache.get(keys)
    missing: dict[bytes, str] = {}
    for row in np.flatnonzero(~known).tolist():
        missing.setdefault(keys[row], source.texts[row])
    todo = list(missing)
    for start in range(0, len(todo), block):
        some = todo[start : start + block]
        what = f"encoding items, {start:,} of {len(todo):,} done"
        made = source.encode([missing[key] for key in some], what)
        if made.ndim != 2 or len(made) != len(some) or made.shape[1] != (cache.dim or made.shape[1]):
            wanted = f"({len(some)}, {cache.dim or 'dim'})"
            raise IndexFault(f"vectors of shape {wanted}", f"shape {made.shape}", "check the encoder")
        check_vectors(made)  # what is kept once is never made again
        cache.put(some, made)
    if not known.any():
        return cache.get(keys)[0], len(todo)
    if todo:
        vectors[~known] = cache.get([keys[row] for row in np.flatnonzero(~known).tolist()])[0]
    return vectors, len(todo)


def fingerprint_of(ids: pl.Series, keys: Sequence[bytes]) -> str:
    """SHA-256 over ids and keys of texts, in their order."""
    found = hashlib.sha256()
    for one, key in zip(ids, keys, strict=True):
        name = one.encode()
        found.update(len(name).to_bytes(4, "little") + name + key)
    return found.hexdigest()


def _there(versions: Versions, source: Source, data: str, settings: IndexSettings) -> str | None:
    """A sound version that holds just this: the live one, or one that a killed job had finished."""
    kept = {store.TEXTS, store.SAID} if source.finish is not None else set()
    wanted = (data, source.model, source.encoder, kept, settings.model_dump(mode="json"))
    for listed in reversed(versions.listing()):
        found = listed.description
        if found is not None and _same(found) == wanted:
            (checked,) = versions.listing(check="all", only=listed.version)
            if checked.damage is None:
                return listed.version
            log.warning("%s is damaged and is built again: %s", listed.version, checked.damage)
    return None


def _same(found: Description) -> tuple[object, ...]:
    kept = {store.TEXTS, store.SAID} & set(found.files)
    return found.data, found.model, found.encoder, kept, found.settings
