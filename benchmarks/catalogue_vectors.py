"""Text vectors of a catalogue, multiplied with jitter where more are wanted than it has items."""

from pathlib import Path

import numpy as np
from encode import texts_of
from numpy.typing import NDArray
from safetensors.numpy import load_file

from aisle.retriever.encoder import Encoder
from aisle.retriever.settings import EncoderSettings

JITTER = 0.5
"""Length of the random vector that is added to one of length 1: copies have a cosine of about .8."""


def catalogue_vectors(
    source: Path, items: int, queries: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Item vectors and queries, float32 of unit length.

    Args:
        source: folder of a run, for the text vectors that its model keeps; or a catalogue, to be encoded.
        items: vectors that are wanted.
        queries: near them.
    """
    if source.is_dir():
        (own,) = load_file(source / "train" / "model" / "text.safetensors").values()
    else:
        own = Encoder.load(EncoderSettings()).encode(texts_of(str(source)))
    rng = np.random.default_rng(0)
    rows = np.concatenate(
        [rng.permutation(len(own))[:items], rng.integers(0, len(own), max(0, items - len(own)))]
    )
    vectors = _jittered(own[rows].astype(np.float32), rng)
    if items <= len(own):
        vectors = own[rows].astype(np.float32)
    return vectors, _jittered(own[rng.integers(0, len(own), queries)].astype(np.float32), rng)


def _jittered(vectors: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    for start in range(0, len(vectors), 65_536):
        part = vectors[start : start + 65_536]
        part /= np.linalg.norm(part, axis=1, keepdims=True)
        part += rng.standard_normal(part.shape, np.float32) * np.float32(JITTER / np.sqrt(part.shape[1]))
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    return vectors
