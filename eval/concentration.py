"""How much of what is shown the most popular items take."""

from dataclasses import dataclass

import numpy as np

from aisle.data.ids import Rows
from aisle.eval.catalogue import Catalogue
from aisle.eval.judged import Judged
from aisle.eval.truth import Truth

SHARES = (0.01, 0.02, 0.05, *(round(tenth / 10, 1) for tenth in range(1, 11)))
"""Parts of the catalogue, the most popular items first, that are looked at."""


@dataclass(frozen=True)
class Popular:
    """A catalogue in the order of falling popularity.

    Attributes:
        catalogue: whose events are known.
        places: place of each item (row of the catalogue), from 0, int64 (n_items); equally popular ones
            stand in the order of the rows.
    """

    catalogue: Catalogue
    places: Rows

    @classmethod
    def of(cls, catalogue: Catalogue | None) -> "Popular | None":
        """The order of a catalogue; None where its items or their events are not known, or there are none."""
        if catalogue is None or not catalogue.size or not catalogue.has("events"):
            return None
        order = np.argsort(-catalogue.column("events").to_numpy(), kind="stable")
        places = np.empty(len(order), np.int64)
        places[order] = np.arange(len(order))
        return cls(catalogue, places)

    def shown(self, judged: Judged, k: int) -> list[float]:
        """Share of the first `k` places of all lists that the items of each of `SHARES` have."""
        assert judged.rows is not None  # events are known only where items are
        return self._cumulated(judged.rows[judged.list_items[judged.list_ranks <= k]])

    def wanted(self, truth: Truth) -> list[float]:
        """Share of the relevant pairs that the items of each of `SHARES` have."""
        rows = self.catalogue.rows(truth.frame["item_id"])
        assert rows is not None
        return self._cumulated(rows)

    def _cumulated(self, rows: Rows) -> list[float]:
        """Items that are not in the catalogue count as the least popular."""
        last = len(self.places) - 1
        sums = np.bincount(np.where(rows >= 0, self.places[rows], last), minlength=last + 1).cumsum()
        ends = np.ceil(np.array(SHARES) * len(self.places) - 1e-9).astype(np.int64) - 1
        return [float(share) for share in sums[np.maximum(ends, 0)] / max(int(sums[-1]), 1)]
