"""Similarity of texts: items that read like those of a history. Nothing is trained."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from scipy import sparse

from aisle.data.history import Histories
from aisle.data.ids import Rows
from aisle.data.ragged import offsets_of_sizes, spans

DECAYS = (0.8, 0.65, 0.5, 0.9, 1.0)
"""Grid of the decay."""

TEMPERATURE = 0.07
"""By which a cosine is divided to stand beside the logits of towers."""


@dataclass(frozen=True)
class TextSimilarity:
    """Cosine of an item's text vector to the mean of a history's, recent events first.

    An event counts `decay ** events that the user had after it`. The language model is as it came (or as
    fine-tuned); items that no event names are scored like all others (content-based filtering: Lops et al.
    2011, "Content-based Recommender Systems", section 3.3).

    Attributes:
        vectors: text vectors of the items, of unit length, or zeros without a text.
        decay: see above.
    """

    vectors: Float[NDArray[np.float32], "items text_dim"]
    decay: float

    def users(self, histories: Histories, user_rows: Rows) -> Float[NDArray[np.float32], "users text_dim"]:
        """Vectors of users, of unit length; zeros without a history."""
        means = np.asarray(recency(histories, user_rows, self.decay, len(self.vectors)) @ self.vectors)
        lengths = np.linalg.norm(means, axis=1, keepdims=True)
        units: NDArray[np.float32] = np.divide(means, lengths, out=np.zeros_like(means), where=lengths > 0)
        return units


REACH = 200
"""Most recent events of a history that count: at a decay of .9 what is further back weighs less than 1e-9."""


def recency(histories: Histories, user_rows: Rows, decay: float, items: int) -> sparse.csr_array:
    """`decay ** events after it` for each of the last `REACH` items of a history, float32 (users, items)."""
    stops = histories.offsets[user_rows + 1]
    lengths = np.minimum(stops - histories.offsets[user_rows], REACH)
    offsets = offsets_of_sizes(lengths)
    steps_back = np.repeat(offsets[1:], lengths) - np.arange(offsets[-1]) - 1
    weights = np.power(decay, steps_back).astype(np.float32)
    rows = histories.items[spans(stops - lengths, lengths)]
    return sparse.csr_array((weights, rows, offsets), (len(user_rows), items))
