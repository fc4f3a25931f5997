"""Texts of the prepared shop's items and histories, and their vectors."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import polars as pl
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

from aisle.data.prepared import Part, Prepared
from aisle.data.settings import TextSettings
from aisle.data.text import render_history, render_items
from aisle.index.columns import header
from aisle.retriever.encoder import Encoder

AT_ONCE = 1 << 18
"""Texts that are encoded before their vectors are written (384 MiB for 384 numbers each)."""


def item_texts(prepared: Prepared, settings: TextSettings, *past: Part) -> list[str]:
    """Text of each item row; items known only by their reviews are described by those of `past`."""
    return render_items(prepared.items, settings, prepared.reviews(*past))


def history_texts(
    events: pl.DataFrame,
    spans: Iterable[tuple[int, int]],
    items: Mapping[str, str],
    settings: TextSettings,
    count_tokens: Callable[[str], int],
) -> list[str]:
    """Rendered history of each span of rows of `events`; "" for an empty one.

    Args:
        events: canonical events, oldest first within each span.
        spans: first row and the row behind the last one.
        items: text of each item_id.
        settings: templates and budget.
        count_tokens: tokens of a text.
    """
    columns = events.select("item_id", "kind", "rating", "text", "price", "quantity")
    texts = []
    for start, stop in spans:
        newest = max(start, stop - settings.history_tokens)  # an event takes at least one token
        rows = columns.slice(newest, stop - newest).to_dicts()
        texts.append(render_history(rows, lambda item: items.get(item, ""), settings, count_tokens))
    return texts


def digest(encoder: Encoder, texts: list[str], longest: int | None = None) -> str:
    """SHA-256 over all that the vectors of `texts` depend on."""
    found = hashlib.sha256(f"{encoder.fingerprint} {encoder.settings.model_dump_json()} {longest}".encode())
    for text in texts:
        found.update(hashlib.sha256(text.encode()).digest())
    return found.hexdigest()


def kept_at(folder: Path, encoder: Encoder, texts: list[str], longest: int | None = None) -> Path:
    """Where :func:`kept_vectors` keeps the vectors of `texts`."""
    return folder / f"{digest(encoder, texts, longest)[:16]}.safetensors"


def kept_vectors(
    folder: Path | None,
    encoder: Encoder,
    texts: list[str],
    what: str,
    longest: int | None = None,
    at_once: int = AT_ONCE,
) -> Float[Tensor, "n dim"]:
    """Vectors of `texts`, kept in `folder`, if any, under a hash of the texts: nothing is encoded twice.

    A run that was killed, and the refit, find them there. They are encoded and written `at_once` texts at a
    time, and the result is the file, mapped into memory: the system reads the rows that are asked for.

    Other arguments are those of :meth:`Encoder.encode`.
    """
    if folder is None:
        return torch.from_numpy(encoder.encode(texts, what, longest))
    path = kept_at(folder, encoder, texts, longest)
    if not path.is_file():
        starts = range(0, len(texts), at_once)
        blocks = (encoder.encode(texts[start : start + at_once], what, longest) for start in starts)
        write_vectors(path, blocks, len(texts), encoder.dim)
    return load_file(path)["vectors"]


def write_vectors(path: Path, blocks: Iterable[NDArray[np.float32]], rows: int, dim: int) -> None:
    """Write blocks of vectors, `rows` in all, as :func:`kept_vectors` reads them; whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    with unfinished.open("wb") as file:
        file.write(header(rows, dim))
        for block in blocks:
            file.write(np.ascontiguousarray(block, "<f4").data)
    unfinished.replace(path)


def mean_of_history(
    vectors: Float[NDArray[np.float32], "items dim"], offsets: NDArray[np.int64], items: NDArray[np.int64]
) -> Float[NDArray[np.float32], "users dim"]:
    """Mean text vector of each user's items, unit length; zeros for a user without any.

    Args:
        vectors: text vectors of the items.
        offsets: as in `Histories`.
        items: as in `Histories`.
    """
    sums = np.zeros((len(offsets) - 1, vectors.shape[1]), np.float32)
    owner = np.repeat(np.arange(len(sums)), np.diff(offsets))
    np.add.at(sums, owner, vectors[items])
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    np.divide(sums, lengths, out=sums, where=lengths > 0)
    return sums
