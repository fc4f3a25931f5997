"""Features on one scale: mean 0 and deviation 1 on the training data, and a mark for what is missing."""

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from aisle.ranker.lists import Floats

CLIP = 5.0
"""Deviations from the mean beyond which a number counts no more."""


@dataclass(frozen=True)
class Normal:
    """Normalisation, as fitted.

    Attributes:
        mean: of each feature where it is known, float32 (columns); 0 where it never was.
        deviation: likewise; infinite for a constant, which taught nothing and so says nothing later either.
        gaps: columns that were missing somewhere, int64 (m): each gets a column of marks behind the others.
    """

    mean: Floats
    deviation: Floats
    gaps: NDArray[np.int64]

    @classmethod
    def fit(cls, values: Floats) -> "Normal":
        """Mean and deviation of what is known, float32 (pairs, columns)."""
        known = np.isfinite(values)
        count = np.maximum(known.sum(0), 1)
        clean = np.where(known, values, 0).astype(np.float64)
        mean = clean.sum(0) / count
        variance = (np.where(known, clean - mean, 0) ** 2).sum(0) / count
        deviation = np.sqrt(variance)
        deviation[deviation < 1e-6 * np.maximum(1, np.abs(mean))] = np.inf
        gaps = np.flatnonzero(~known.all(0))
        return cls(mean.astype(np.float32), deviation.astype(np.float32), gaps.astype(np.int64))

    @property
    def width(self) -> int:
        """Columns of what :meth:`of` returns."""
        return len(self.mean) + len(self.gaps)

    def of(self, values: Floats) -> Floats:
        """Normalised features within `CLIP`, float32 (pairs, width); the missing ones are 0, and marked."""
        known = np.isfinite(values)
        scaled = np.where(known, (values - self.mean) / self.deviation, 0)
        marks = ~known[:, self.gaps]
        return cast(Floats, np.concatenate([np.clip(scaled, -CLIP, CLIP), marks], 1).astype(np.float32))
