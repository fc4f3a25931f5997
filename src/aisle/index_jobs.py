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
from aisle.index.rebuild import Rebuilt, Source, rebuild
from aisle.index.updates import Change, update
from aisle.index.versions import Versions
from aisle.retriever.locate import reading_fingerprint
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
    make = of_encoder(settings) if run is None else of_run(run)
    source = make(found.items, found.counts)
    job = settings.rebuild
    return rebuild(Versions(place), source, settings.index, job, force=force, why=why, listener=listener)


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
    source = None
    if catalogue is not None:
        found = read_catalogue(catalogue, settings.data, query=query)
        for reason, rows in found.rejected.items():
            LOG.warning("%s rows of the catalogue are left out: %s", f"{rows:,}", reason)
        source = (of_encoder(settings) if run is None else of_run(run))(found.items, found.counts)
    return update(Versions(place), source, deleted, settings.rebuild)


Maker = Callable[[pl.DataFrame, dict[str, int]], Source]


def of_encoder(settings: Settings) -> Maker:
    """Items as the language model alone sees them."""
    encoder = Lazy(settings.retriever.encoder)

    def make(items: pl.DataFrame, counts: dict[str, int]) -> Source:
        texts = render_items(items, settings.data.text)
        return Source(
            items["item_id"], texts, encoder, encoder.fingerprint, encoder.fingerprint, counts=counts
        )

    return make


def of_run(run: Path) -> Maker:
    """Items as the trained model of a run sees them, with texts of today and items that are new.

    Raises:
        InputError: `train` has not been done, its files have changed since, or its model reads no texts.
    """
    from aisle.retriever.candidates import fingerprint
    from aisle.retriever.model import load

    manifest = Workshop(run).input("train")
    folder = run / "train" / "model"
    model = load(folder)
    encoder = Lazy(model.settings.encoder)
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
    """An encoder that is loaded when there is something to encode."""

    def __init__(self, settings: EncoderSettings) -> None:
        self.settings = settings
        self.fingerprint = reading_fingerprint(settings)
        self._encoder: Encoder | None = None

    def __call__(self, texts: list[str], what: str) -> Vectors:
        """Vectors of texts; `what` names the work on its progress bar."""
        from aisle.retriever.arithmetic import device
        from aisle.retriever.encoder import Encoder

        if self._encoder is None:
            self._encoder = Encoder.load(self.settings, device())
        return self._encoder.encode(texts, what)
