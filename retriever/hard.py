"""Hard negatives: items that the towers nearly take for the relevant one."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from aisle.data.ids import Rows
from aisle.index.exact import NONE, ExactIndex
from aisle.index.settings import IndexSettings


class HardNegatives:
    """The best-scored items of an index that still score less than the relevant one by a margin.

    Source: Moreira et al. 2024, "NV-Retriever: Improving text embedding models with effective hard-negative
    mining" (TopK-MarginPos): what scores about as well as the relevant item, or better, may be
    relevant itself. Queries are mined with the towers of the step, items as they were when last indexed
    (Xiong et al. 2021, "Approximate Nearest Neighbor Negative Contrastive Learning", ANCE).

    Args:
        known: rows of the items that may be negatives, increasing.
        number: hard negatives of each query.
        pool: nearest items of each query that are looked at.
        margin: how much less than the relevant item a negative has to score, in units of similarity.
        settings: where to search.
    """

    def __init__(
        self, known: Rows, *, number: int, pool: int, margin: float, settings: IndexSettings | None = None
    ) -> None:
        self.known = known
        self.number = number
        self.pool = pool
        self.margin = margin
        self.settings = settings or IndexSettings()
        self.index: ExactIndex | None = None

    def refresh(self, vectors: Float[Tensor, "m dim"]) -> None:
        """Index the vectors that the known items have now, in the order of `known`."""
        self.vectors = vectors.detach().float().cpu().numpy()
        self.index = ExactIndex(self.vectors, self.settings)

    def mine(
        self,
        queries: Float[Tensor, "n dim"],
        targets: Int[Tensor, " n"],
        seen: Sequence[NDArray[np.int64]],
    ) -> Int[Tensor, "n h"]:
        """Rows of each query's hard negatives, hardest first; -1 where there are fewer.

        Args:
            queries: user vectors.
            targets: row of each query's relevant item, a known one.
            seen: rows that are no negatives of a query, such as all items of its user.
        """
        if self.index is None:
            raise RuntimeError("index the items' vectors first: refresh()")
        wanted = queries.detach().float().cpu().numpy()
        places = np.searchsorted(self.known, targets.cpu().numpy())
        relevant = (wanted * self.vectors[places]).sum(1)
        exclude = [np.append(self._places(rows), place) for rows, place in zip(seen, places, strict=True)]
        scores, found = self.index.search(wanted, self.pool, exclude)
        kept = (found != NONE) & (scores <= (relevant - self.margin)[:, None])
        order = np.cumsum(kept, axis=1) - 1
        query, column = np.nonzero(kept & (order < self.number))
        mined = np.full((len(wanted), self.number), NONE, np.int64)
        mined[query, order[query, column]] = self.known[found[query, column]]
        return torch.from_numpy(mined).to(targets.device)

    def _places(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Places in `known` of those rows that are known."""
        places = np.minimum(np.searchsorted(self.known, rows), len(self.known) - 1)
        known: NDArray[np.int64] = places[self.known[places] == rows].astype(np.int64)
        return known
