"""Items added, replaced and deleted between rebuilds, beside the version that is served.

    <place>/delta-<version>-<n>/   delta.parquet, ids.arrow of all rows, index.json; with a trained model,
                                   texts.safetensors and texts.arrow: of what is in the delta

The pointer names version and delta together: a change is there for whoever opens the index next, whole or not
at all. Each change writes a new folder with all changes since the version; the nightly rebuild, or
:func:`compact`, starts anew.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aisle.index.base import Index, Vectors
from aisle.index.cache import VectorCache, key_of
from aisle.index.columns import ID, TEXT, write_texts, write_vectors
from aisle.index.delta import Rows, Updated, save_delta
from aisle.index.description import Description, entries
from aisle.index.errors import IndexFault
from aisle.index.kinds import build
from aisle.index.pointer import Publication
from aisle.index.publishing import collect, point_to_delta, publish
from aisle.index.rebuild import Source, cache_of, check_source, embedded
from aisle.index.rebuild_settings import RebuildSettings
from aisle.index.settings import IndexSettings
from aisle.index.store import IDS, SAID, TEXTS, Stored, save
from aisle.index.versions import Opened, Versions


@dataclass(frozen=True)
class Change:
    """What an update did.

    Attributes:
        version: the live one, to which it was done.
        added: items that are new.
        replaced: items that have new vectors.
        deleted: items that are not returned any more.
        encoded: texts that had to be encoded.
        changed: items that the delta holds now; searches slow down as it grows.
    """

    version: str
    added: int
    replaced: int
    deleted: int
    encoded: int
    changed: int


def update(versions: Versions, source: Source | None, deleted: Sequence[str], job: RebuildSettings) -> Change:
    """Add, replace and delete items of the live version; all at once for whoever opens it next.

    Args:
        versions: of the index.
        source: items to add, or to replace where they are there; None: only deletions.
        deleted: ids of items to delete.
        job: block of texts, and versions to keep.

    Raises:
        IndexFault: nothing to do, nothing is published, an id to delete is not there, an id to add twice,
            `source` is of another model or encoder, vectors that cannot be used, another process at work,
            or a place that cannot be written.
    """
    if source is not None:
        check_source(source)
    elif not deleted:
        raise IndexFault("items to add, to replace or to delete", "none", "give --catalogue or --delete")
    with versions.writing():
        opened = versions.open()
        try:
            stored = opened.stored
            if source is not None:
                _check_makers(source, stored.description)
            index = _updatable(stored.index, _settings(stored.description))
            beside = _Beside.of(stored, index.changed_rows)
            ids = stored.ids.series().to_list()
            rows = {one: row for row, one in enumerate(ids) if index.alive[row]}
            _delete(index, rows, deleted)
            added = replaced = encoded = 0
            if source is not None:
                cache = VectorCache(cache_of(versions, source.encoder))
                keys = [key_of(text) for text in source.texts]
                read, encoded = embedded(cache, keys, source, job.block)
                vectors = read if source.finish is None else source.finish(read)
                there = np.array([one in rows for one in source.ids], np.bool_)
                known = source.ids.filter(pl.Series(there)).to_list()
                if known:
                    index.replace(np.array([rows[one] for one in known], np.int64), vectors[there])
                if not there.all():
                    rows |= zip(
                        source.ids.filter(pl.Series(~there)), index.add(vectors[~there]).tolist(), strict=True
                    )
                    ids += source.ids.filter(pl.Series(~there)).to_list()
                if source.finish is not None:
                    beside.put([rows[one] for one in source.ids], read, source.texts)
                added, replaced = int((~there).sum()), int(there.sum())
            counts = {} if source is None else source.counts
            _publish(versions, opened, index, ids, counts, beside)
            collect(versions, job.keep)
            return Change(_base(versions), added, replaced, len(deleted), encoded, index.changed)
        finally:
            opened.close()


def compact(versions: Versions, job: RebuildSettings, *, force: bool = False, why: str = "") -> Publication:
    """Make one new version of the live one and its changes, through the gate.

    Raises:
        GateFault: the new version does not pass the gate.
        IndexFault: nothing is published, another process at work, or a place that cannot be written.
    """
    with versions.writing():
        opened = versions.open()
        try:
            stored = opened.stored
            settings = _settings(stored.description)
            rows = stored.rows
            vectors = stored.vectors[rows]
            changed = stored.index.changed if isinstance(stored.index, Updated) else 0
            delta = stored.description.files.get("delta.parquet")
            said = f"{stored.description.data} {'' if delta is None else delta.sha256}"
            data = hashlib.sha256(said.encode()).hexdigest()
            name = versions.name_for(data)
            folder = _partial(versions, name)
            save(
                build(vectors, settings),
                stored.ids.series().gather(rows),
                folder,
                model=stored.description.model,
                encoder=stored.description.encoder,
                data=data,
                settings=settings,
                counts={**stored.description.counts, "compacted": changed},
                vectors=vectors,
                texts=None if stored.texts is None else stored.texts[rows],
                said=stored.said(rows),
            )
            versions.add(folder, name)
        finally:
            opened.close()
        publication = publish(versions, name, settings, job.gate, force=force, why=why)
        collect(versions, job.keep)
        return publication


def _updatable(index: Index, settings: IndexSettings) -> Updated:
    return index if isinstance(index, Updated) else Updated(index, settings)


def _check_makers(source: Source, description: Description) -> None:
    for made_by, theirs, ours in (
        ("model", source.model, description.model),
        ("encoder", source.encoder, description.encoder),
    ):
        if theirs != ours:
            raise IndexFault(
                f"items as {made_by} {ours[:12]} sees them",
                f"{made_by} {theirs[:12]}",
                f"rebuild the index with the new {made_by}",
            )


def _settings(description: Description) -> IndexSettings:
    return IndexSettings.model_validate(description.settings)


def _delete(index: Updated, rows: dict[str, int], deleted: Sequence[str]) -> None:
    missing = [one for one in deleted if one not in rows]
    if missing or len(set(deleted)) != len(deleted):
        found = f"{missing[0]!r}" if missing else "an id twice"
        raise IndexFault("ids of items that are there", found, "leave it out")
    if deleted:
        index.delete(np.array([rows.pop(one) for one in deleted], np.int64))


@dataclass(frozen=True)
class _Beside:
    """What is kept of the texts of the items that the small index holds, by row; None where nothing is.

    Attributes:
        vectors: of the texts.
        said: the texts.
    """

    vectors: dict[int, NDArray[np.float32]] | None
    said: dict[int, str] | None

    @classmethod
    def of(cls, stored: Stored, rows: Rows) -> "_Beside":
        """Before any change: later, `stored` does not tell any more what its files hold."""
        said = stored.said(rows)
        places = rows.tolist()
        return cls(
            None if stored.texts is None else dict(zip(places, stored.texts[rows], strict=True)),
            None if said is None else dict(zip(places, said, strict=True)),
        )

    def put(self, rows: Sequence[int], vectors: Vectors, said: Sequence[str]) -> None:
        """Note what was given for some rows."""
        if self.vectors is not None:
            self.vectors.update(zip(rows, vectors, strict=True))
        if self.said is not None:
            self.said.update(zip(rows, said, strict=True))

    def write(self, rows: Rows, folder: Path) -> None:
        """Write what is kept of these rows, if there are any."""
        if self.vectors is not None and len(rows):
            write_vectors(np.stack([self.vectors[row] for row in rows.tolist()]), folder / TEXTS)
        if self.said is not None and len(rows):
            said = [self.said[row] for row in rows.tolist()]
            write_texts(pl.Series(said, dtype=pl.String), folder / SAID, TEXT)


def _publish(
    versions: Versions,
    opened: Opened,
    index: Updated,
    ids: list[str],
    counts: Mapping[str, int],
    beside: _Beside,
) -> None:
    """Write all changes to a folder of their own, and point to it."""
    base = opened.version
    name = versions.delta_name(base)
    folder = _partial(versions, name)
    save_delta(index, folder)
    write_texts(pl.Series(ids, dtype=pl.String), folder / IDS, ID)
    beside.write(index.changed_rows, folder)
    described = opened.stored.description
    described.model_copy(
        update={
            "items": len(index),
            "counts": {**counts, "beside": index.changed},
            "files": dict(entries(folder)),
        }
    ).write(folder)
    versions.add(folder, name)
    point_to_delta(versions, base, name)


def _partial(versions: Versions, name: str) -> Path:
    folder = versions.work / ".partial" / name
    folder.mkdir(parents=True)
    return folder


def _base(versions: Versions) -> str:
    pointer = versions.pointer()
    return "" if pointer is None else pointer.version
