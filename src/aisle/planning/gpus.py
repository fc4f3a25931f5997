"""Graphics processors as published, and what their arithmetic allows."""

import tomllib
from dataclasses import dataclass
from importlib import resources

from aisle.data.errors import InputError
from aisle.index.recipes import BYTES
from aisle.index.settings import Storage

SHARE = 0.1
"""Of the published operations a second, taken to be reached by small models and by exact search.

A guess on the safe side of arithmetic: layers of a small model wait for memory, and choosing the best of all
products takes time of its own.
"""

TOKENIZED = 5e6
"""Tokens a second that a machine's processors make of texts beside the card.

Half of what the README of Hugging Face's tokenizers promises of a server (a gigabyte in 20 seconds), at five
bytes a token.
"""


@dataclass(frozen=True)
class Gpu:
    """One card of the table: see `gpus.toml`."""

    name: str
    memory_gib: float
    teraflops: float
    gigabytes_per_second: float
    source: str
    dollars_per_hour: float | None = None

    @property
    def memory(self) -> int:
        """Bytes."""
        return int(self.memory_gib * 2**30)


@dataclass(frozen=True)
class Shape:
    """What the operations of a language model depend on; those of all-MiniLM-L6-v2 unless told.

    Attributes:
        weights: numbers in its matrices, tables of embeddings left out.
        layers, width: of the model.
        dim: length of a vector.
    """

    weights: int = 6 * 12 * 384**2
    layers: int = 6
    width: int = 384
    dim: int = 384

    def operations(self, tokens: float) -> float:
        """Additions and multiplications of a text: `2 weights t + 4 layers width t^2`.

        Source: Kaplan et al. 2020, "Scaling Laws for Neural Language Models", table 1, with attention in both
        directions.
        """
        return 2 * self.weights * tokens + 4 * self.layers * self.width * tokens**2


def known_gpus() -> dict[str, Gpu]:
    """The table."""
    text = resources.files("aisle.planning").joinpath("gpus.toml").read_text("utf-8")
    return {key: Gpu(**row) for key, row in tomllib.loads(text).items()}


def gpu_of(key: str) -> Gpu:
    """A card of the table.

    Raises:
        InputError: it is not in it.
    """
    table = known_gpus()
    if key not in table:
        raise InputError(
            f"a GPU of the table: {', '.join(table)}", repr(key), "measure yours with `aisle bench`"
        )
    return table[key]


def seconds_of_text(gpu: Gpu, shape: Shape, tokens: float, share: float = SHARE) -> float:
    """Seconds of a text: its operations at a share of the card's, or its tokens, what takes longer."""
    return max(shape.operations(tokens) / (gpu.teraflops * 1e12 * share), tokens / TOKENIZED)


def seconds_of_query(
    gpu: Gpu, items: float, dim: int, storage: Storage, batch: int, share: float = SHARE
) -> float:
    """Seconds of an exact query in a batch: all products or reading all vectors once, what is longer."""
    products = 2 * items * dim / (gpu.teraflops * 1e12 * share)
    reading = items * dim * BYTES[storage] / (gpu.gigabytes_per_second * 1e9) / batch
    return max(products, reading)
