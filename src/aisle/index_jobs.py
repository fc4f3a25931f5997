"""Rebuilds of an index that is served: a catalogue, an encoder or a trained model, and a new version."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aisle.data.catalogue import read_catalogue
from aisle.data.settings import TextSettings
from aisle.data.text import render_items
from aisle.index.rebuild import Rebuilt, Source, cache_of, rebuild
from aisle.index.updates import Change, update
from aisle.index.versions import Versions
from aisle.retriever.locate import reading_fingerprint, weights_read_once
from aisle.retriever.settings import EncoderSettings
from aisle.settings import Settings
from aisle.stages import Workshop

if TYPE_CHECKING:
    from aisle.retriever.encoder import Encoder

LOG = logging.getLogger(__name__)

Vectors = NDArray[np.float32]


def rebuild_index(
    place: str,
    catalogue: str,
    settings: Settings,
    *,
    query: str | None = None,
    run: Path | None = None,
    force: bool = False,
    why: str = "",
    listener: Callable[[str], None] | None = None,
) -> Rebuilt:
    """Bring the index at `place` up to date with a catalogue, and serve it.

    Args:
        place: a folder, or a URL that fsspec opens.
        catalogue: file, folder, or URI of a database.
        settings: of text, encoder, index and rebuild.
        query: for a database.
        run: folder of a run whose trained model makes the vectors; None: the encoder makes them.
        force: publish although the gate fails.
        why: the reason for that.
        listener: called with the name of each step as it begins.

    Raises:
        InputError: the catalogue, the encoder or the run cannot be used.
        GateFault: the new version does not pass the gate.
        IndexFault: another process is at work there, or it cannot be written.
    """
    found = read_catalogue(catalogue, settings.data, query=query)
    for reason, rows in found.rejected.items():
        LOG.warning("%s rows of the catalogue are left out: %s", f"{rows:,}", reason)
    versions, job = Versions(place), settings.rebuild
    with weights_read_once():
        make = of_encoder(versions, settings) if run is None else of_run(versions, run)
        source = make(found.items, found.counts)
        return rebuild(versions, source, settings.index, job, force=force, why=why, listener=listener)


def update_index(
    place: str,
    settings: Settings,
    *,
    catalogue: str | None = None,
    deleted: Sequence[str] = (),
    query: str | None = None,
    run: Path | None = None,
) -> Change:
    """Add, replace and delete items of the live version at once.

    Args:
        place: a folder, or a URL that fsspec opens.
        settings: of text, encoder and rebuild.
        catalogue: items to add, or to replace where they are there; None: only deletions.
        deleted: ids of items to delete.
        query: for a database.
        run: the run whose trained model made the vectors, if one did.

    Raises:
        InputError: the catalogue, the encoder or the run cannot be used.
        IndexFault: nothing is published, an id to delete is not there, or the vectors are another model's.
    """
    versions = Versions(place)
    if catalogue is None:
        return update(versions, None, deleted, settings.rebuild)
    found = read_catalogue(catalogue, settings.data, query=query)
    for reason, rows in found.rejected.items():
        LOG.warning("%s rows of the catalogue are left out: %s", f"{rows:,}", reason)
    with weights_read_once():
        make = of_encoder(versions, settings) if run is None else of_run(versions, run)
        return update(versions, make(found.items, found.counts), deleted, settings.rebuild)


Maker = Callable[[pl.DataFrame, dict[str, int]], Source]


def of_encoder(versions: Versions, settings: Settings) -> Maker:
    """Items as the language model alone sees them."""
    encoder = Lazy(settings.retriever.encoder, versions)

    def make(items: pl.DataFrame, counts: dict[str, int]) -> Source:
        texts = render_items(items, settings.data.text)
        return Source(
            items["item_id"], texts, encoder, encoder.fingerprint, encoder.fingerprint, counts=counts
        )

    return make


def of_run(versions: Versions, run: Path) -> Maker:
    """Items as the trained model of a run sees them, with texts of today and items that are new.

    Raises:
        InputError: `train` has not been done, its files have changed since, or its model reads no texts.
    """
    from aisle.retriever.candidates import fingerprint
    from aisle.retriever.model import load

    manifest = Workshop(run).input("train")
    folder = run / "train" / "model"
    model = load(folder)
    encoder = Lazy(model.settings.encoder, versions)
    text = TextSettings.model_validate(manifest.settings["text"])

    def make(items: pl.DataFrame, counts: dict[str, int]) -> Source:
        from aisle.retriever.additions import indexed_vectors

        ids = items["item_id"]

        def finish(vectors: Vectors) -> Vectors:
            return indexed_vectors(model, ids, vectors)

        texts = render_items(items, text)
        return Source(ids, texts, encoder, encoder.fingerprint, fingerprint(folder), finish, counts)

    return make


class Lazy:
    """An encoder that is loaded when there is something to encode.

    What `precision = "auto"` came to is remembered beside the vectors: an encoder that is the same on a
    machine that is the same reads the few texts of the next night without being measured.
    """

    def __init__(self, settings: EncoderSettings, versions: Versions) -> None:
        self.settings = settings
        self.fingerprint = reading_fingerprint(settings)
        self.note = cache_of(versions, self.fingerprint) / "arithmetic.json"
        self._encoder: Encoder | None = None

    def __call__(self, texts: list[str], what: str) -> Vectors:
        """Vectors of texts; `what` names the work on its progress bar."""
        from aisle.retriever.engine.settled import remember

        if self._encoder is None:
            self._encoder = self._loaded()
        vectors = self._encoder.encode(texts, what)
        if self._encoder.settings.precision == "auto" and self._encoder.settings.backend == "torch":
            remember(self.note, self.fingerprint, self._device, self._encoder.reader.precision)
        return vectors

    def _loaded(self) -> "Encoder":
        from aisle.retriever.arithmetic import device
        from aisle.retriever.encoder import Encoder
        from aisle.retriever.engine.settled import recall
        from aisle.retriever.engine.threads import limit_threads

        limit_threads()
        self._device = device()
        settings = self.settings
        if settings.precision == "auto" and settings.backend == "torch":
            known = recall(self.note, self.fingerprint, self._device)
            settings = settings if known is None else settings.model_copy(update={"precision": known})
        return Encoder.load(settings, self._device)
