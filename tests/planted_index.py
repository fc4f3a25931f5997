"""A tiny catalogue whose texts are its vectors: two numbers, written as text."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from aisle.index.rebuild import Source


def angles(texts: Sequence[str], what: str = "") -> np.ndarray:
    """Vector of each text: the direction, in degrees, that it names."""
    degrees = np.radians([float(text) for text in texts])
    return np.stack([np.cos(degrees), np.sin(degrees)], axis=1).astype(np.float32)


class Counting:
    """`angles`, which remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, texts: list[str], what: str) -> np.ndarray:
        self.asked += texts
        return angles(texts)


def circle(items: int, changed: int = 0, model: str = "angles", encode=angles) -> Source:
    """Items on a circle, `changed` of them moved by half a step."""
    steps = np.arange(items) + 0.5 * (np.arange(items) < changed)
    texts = [f"{360 / items * step:.6f}" for step in steps]
    ids = pl.Series([f"i{number:04d}" for number in range(items)])
    return Source(ids, texts, encode, encoder=f"encoder of {model}", model=model, counts={"changed": changed})
