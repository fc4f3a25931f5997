"""Item vectors as bytes, and how far what they say may be from the truth."""

from dataclasses import dataclass

import faiss
import numpy as np
from jaxtyping import Float, Int, Int8
from numpy.typing import NDArray

BLOCK = 8192
"""Vectors that are scored at once, with one step and one bound."""

STEPS = 127
"""Largest code."""

MARGIN = 1 + 1e-6
"""What bounds are stretched by, because they are computed in float64 themselves."""


@dataclass(frozen=True)
class Codes:
    """Vectors less their mean as whole numbers times a step, those with large numbers first.

    A vector x is `mean + step c + r`, with c the codes and r what is lost. Blocks of `BLOCK` vectors share a
    step; sorting by the largest number keeps outliers from making the steps of others wide.

    Attributes:
        codes: int8 (n, dim), in the order of `rows`.
        rows: row of each, int64 (n).
        mean: float64 (dim).
        step: of each block, float64 (blocks).
        length: of the longest vector of each block, less the mean, float64 (blocks).
        lost: of the longest r of each block, float64 (blocks).
        longest: length of the longest vector, the mean not subtracted.
    """

    codes: Int8[NDArray[np.int8], "n dim"]
    rows: Int[NDArray[np.int64], " n"]
    mean: Float[NDArray[np.float64], " dim"]
    step: Float[NDArray[np.float64], " blocks"]
    length: Float[NDArray[np.float64], " blocks"]
    lost: Float[NDArray[np.float64], " blocks"]
    longest: float

    @classmethod
    def of(cls, flat: faiss.IndexFlat) -> "Codes":
        """Codes of the vectors of a flat index."""
        n, dim = int(flat.ntotal), int(flat.d)
        vectors = faiss.rev_swig_ptr(flat.get_xb(), n * dim).reshape(n, dim)
        starts = range(0, n, BLOCK)
        parts = [vectors[start : start + BLOCK] for start in starts]
        mean = np.sum([part.sum(axis=0, dtype=np.float64) for part in parts], axis=0) / n
        rows = np.argsort(-np.concatenate([np.abs(part - mean).max(axis=1) for part in parts]), kind="stable")
        codes = np.empty((n, dim), np.int8)
        step, length, lost = np.empty((3, len(starts)))
        longest = 0.0
        for block, start in enumerate(starts):
            chosen = vectors[rows[start : start + BLOCK]].astype(np.float64)
            longest = max(longest, lengths(chosen).max())
            chosen -= mean
            length[block] = lengths(chosen).max()
            step[block] = np.abs(chosen).max() / STEPS or 1.0
            whole = np.rint(chosen / step[block])
            codes[start : start + BLOCK] = whole
            lost[block] = lengths(chosen - whole * step[block]).max()
        return cls(codes, rows, mean, step, length, lost, float(longest))

    def block(self, at: int) -> Int8[NDArray[np.int8], "v dim"]:
        """Codes of a block, a view of int8 (up to `BLOCK`, dim)."""
        return self.codes[at * BLOCK : (at + 1) * BLOCK]


@dataclass(frozen=True)
class Asked:
    """Queries against codes.

    The inner product of a query q = step c' + r' and a vector x less the mean is `unit` times the product of
    their codes, give or take `error`: by Cauchy and Schwarz at most |r'| |x| + |step c'| |r|.

    Attributes:
        codes: int8 (b, dim).
        unit: float64 (b, blocks).
        error: float64 (b, blocks).
        most: no product of a block is above, float64 (b, blocks).
        shift: inner product with the mean, float64 (b).
        slack: twice what rounding may do to a score in float32, float64 (b): a sum of dim products is wrong
            by less than dim 2^-24 of the product of the lengths, nearly. Source: Higham 2002, "Accuracy and
            Stability of Numerical Algorithms", section 3.1.
    """

    codes: Int8[NDArray[np.int8], "b dim"]
    unit: Float[NDArray[np.float64], "b blocks"]
    error: Float[NDArray[np.float64], "b blocks"]
    most: Float[NDArray[np.float64], "b blocks"]
    shift: Float[NDArray[np.float64], " b"]
    slack: Float[NDArray[np.float64], " b"]

    @classmethod
    def of(cls, queries: Float[NDArray[np.float32], "b dim"], codes: Codes) -> "Asked":
        """Queries as codes, each with a step of its own."""
        exact = queries.astype(np.float64)
        step = np.abs(exact).max(axis=1) / STEPS
        step[step == 0] = 1
        whole = np.rint(exact / step[:, None])
        near = whole * step[:, None]
        length = lengths(exact)
        error = np.outer(lengths(exact - near), codes.length) + np.outer(lengths(near), codes.lost)
        return cls(
            whole.astype(np.int8),
            np.outer(step, codes.step),
            error * MARGIN,
            np.outer(length, codes.length) * MARGIN,
            exact @ codes.mean,
            queries.shape[1] * 2.0**-23 * length * codes.longest,
        )

    def cuts(self, least: Float[NDArray[np.float64], " b"]) -> Int[NDArray[np.int32], "b blocks"]:
        """Below these products of codes no inner product less the mean's is `least`, int32 (b, blocks)."""
        edge = np.iinfo(np.int32)
        cuts = np.floor((least[:, None] - self.error) / self.unit) - 1
        cuts[self.most < least[:, None]] = edge.max
        whole: NDArray[np.int32] = np.clip(cuts, edge.min, edge.max).astype(np.int32)
        return whole


def lengths(vectors: Float[NDArray[np.float64], "n dim"]) -> Float[NDArray[np.float64], " n"]:
    """Euclidean lengths."""
    found: NDArray[np.float64] = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    return found
