"""Random numbers that depend on what they are for, not on the order in which they are drawn.

Every number of the embedded shop is a hash of its place: (seed, name of the draw, user, visit, ...). So a
user's history is the same in whatever chunk or process it is made. The hash is the finaliser of splitmix64
(Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014, figure 16).
"""

import zlib

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Keys = NDArray[np.uint64]
Floats = NDArray[np.float64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


def _mixed(keys: Keys) -> Keys:
    keys ^= keys >> np.uint64(30)
    keys *= _FIRST
    keys ^= keys >> np.uint64(27)
    keys *= _SECOND
    keys ^= keys >> np.uint64(31)
    return keys


def root(seed: int, name: str) -> Keys:
    """Key of all draws called `name`, uint64 (1)."""
    start = np.array([seed & 0xFFFFFFFFFFFFFFFF], np.uint64)
    return child(_mixed(start + _GOLDEN), zlib.crc32(name.encode()))


def child(keys: Keys, number: int | NDArray[np.int64]) -> Keys:
    """Keys of the children `number` (whole, >= 0) of `keys`, broadcast against each other."""
    return _mixed(keys + (np.atleast_1d(number).astype(np.uint64) + np.uint64(1)) * _GOLDEN)


def uniform(keys: Keys) -> Floats:
    """Numbers in (0, 1), without both ends, one a key."""
    return ((keys >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52


def below(keys: Keys, n: int | NDArray[np.int64]) -> NDArray[np.int64]:
    """Whole numbers in [0, n), one a key."""
    return (uniform(keys) * n).astype(np.int64)


def normal(keys: Keys) -> Floats:
    """Standard normal numbers, one a key."""
    deviates: Floats = ndtri(uniform(keys))
    return deviates
