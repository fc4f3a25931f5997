"""What the engine reads: tokens of inputs, of which a long one may be in several pieces."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from math import ceil
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")

Ids = list[int]
"""Tokens of a piece."""

FIRST = 1_024
"""Inputs in the first window: computing begins once they are tokenized."""

MOST = 16_384
"""Inputs in a window, at most. The more, the more alike are the lengths in a batch."""

ENOUGH, MOST_PADDING = 1 / 8, 0.1
"""Share of the budget that keeps a processor busy; share of a row that may be padding from then on."""

MOST_CHARACTERS = 1 << 25
"""Characters in a window, at most (but one input), so that long texts do not fill the memory."""


@dataclass(frozen=True)
class Pieces:
    """Tokens of some inputs.

    Attributes:
        ids: of each piece.
        types: token types of each piece, where there are two texts in it.
        owner: input of each piece, int64 (pieces); None: each is an input of its own.
        share: of its input that a piece holds, float32 (pieces); 1 over an input.
    """

    ids: list[Ids]
    types: list[Ids] | None = None
    owner: NDArray[np.int64] | None = None
    share: NDArray[np.float32] | None = None

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each piece."""
        return np.fromiter(map(len, self.ids), np.int64, len(self.ids))


def in_pieces(reviews: Sequence[Sequence[Ids]]) -> Pieces:
    """Pieces of inputs, each of which counts by its tokens."""
    owner = np.repeat(np.arange(len(reviews)), [len(review) for review in reviews])
    ids = [piece for review in reviews for piece in review]
    lengths = np.fromiter(map(len, ids), np.float32, len(ids))
    share = lengths / np.bincount(owner, lengths, len(reviews))[owner]
    return Pieces(ids, None, owner, share.astype(np.float32))


def windows(inputs: Iterable[T], weight: Callable[[T], int] | None = None) -> Iterator[list[T]]:
    """Inputs in windows: small ones first, so that computing begins soon, then as many as `MOST`.

    Args:
        inputs: any number of them.
        weight: characters of an input; None: windows are cut by number alone.
    """
    size, window, characters = FIRST, list[T](), 0
    for one, weighs in zip(inputs, repeat(0)) if weight is None else ((one, weight(one)) for one in inputs):
        if window and (len(window) == size or characters + weighs > MOST_CHARACTERS):
            yield window
            size, window, characters = min(2 * size, MOST), [], 0
        window.append(one)
        characters += weighs
    if window:
        yield window


def batches(lengths: NDArray[np.int64], budget: int) -> list[NDArray[np.int64]]:
    """Pieces of similar length together, longest first, padded to at most `budget` tokens a batch.

    A batch that holds `ENOUGH` of them ends before a piece that would be padded by more than `MOST_PADDING`.

    >>> [batch.tolist() for batch in batches(np.array([1, 4, 2, 2]), 4)]
    [[1], [2, 3], [0]]

    Args:
        lengths: tokens of each piece.
        budget: tokens of a batch, padding included; a longer piece is a batch of its own.
    """
    order = np.argsort(-lengths, kind="stable")
    falling = -lengths[order]
    found, start = [], 0
    while start < len(order):
        longest = max(1, -int(falling[start]))
        alike = int(np.searchsorted(falling, -(1 - MOST_PADDING) * longest, side="right"))
        least, most = ceil(ENOUGH * budget / longest), max(1, budget // longest)
        stop = min(start + most, max(alike, start + least))
        found.append(order[start:stop])
        start = stop
    return found


def padded(rows: list[Ids], fill: int) -> NDArray[np.int64]:
    """Rows of numbers as one array, filled up on the right."""
    found = np.full((len(rows), max(map(len, rows))), fill, np.int64)
    for place, row in enumerate(rows):
        found[place, : len(row)] = row
    return found
