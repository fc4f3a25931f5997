"""What is known of an item before the user is: its popularity, and that it is new.

The towers' softmax is a model of p(item | user) on the training data. Tastes of the whole shop drift, and
items that were never sold in training were never compared. So a score gets a prior in the units of the
softmax's logits,

    score / temperature + popularity * log(1 + recent events of the item) + new * [item has no event],

with weights chosen by ndcg@10 on validation: zero where the data asks for no prior (adjusting scores by
a class prior: Menon et al. 2021, "Long-tail learning via logit adjustment", section 3).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray

from aisle.data.history import Histories
from aisle.data.schema import DAY
from aisle.retriever.kept import kept

HALF_LIVES: tuple[float, ...] = (7.0, 30.0, 90.0, 365.0)
POPULARITY = (0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
NEW = (-8.0, -4.0, -2.0, -1.0, -0.5, 0.5, 1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True)
class Prior:
    """Weights of the prior.

    Attributes:
        popularity: weight of log(1 + events).
        half_life: days after which an event counts half; None counts all events alike.
        new: added to items without events.
    """

    popularity: float = 0.0
    half_life: float | None = None
    new: float = 0.0


class PriorTable:
    """The prior of each item after the events of `histories`, for any weights.

    Args:
        histories: what is known.
        items: size of the catalogue.
        timed: whether the times of events are known.
    """

    def __init__(self, histories: Histories, items: int, *, timed: bool) -> None:
        self.timed = timed
        self.unsold: Bool[NDArray[np.bool_], " items"] = np.bincount(histories.items, minlength=items) == 0
        self._histories = histories

    @kept
    def log_events(self, half_life: float | None) -> Float[NDArray[np.float64], " items"]:
        """Logarithm of one more than the events of each item, each worth half after `half_life` days."""
        found = self._histories
        weights = None
        if half_life is not None and len(found.times):
            weights = np.exp2((found.times - found.times.max()) / (DAY * half_life))
        return np.log1p(np.bincount(found.items, weights, minlength=len(self.unsold)))

    def of(self, prior: Prior) -> Float[NDArray[np.float32], " items"]:
        """The prior of each item, in logits."""
        popularity = prior.popularity * self.log_events(prior.half_life) if prior.popularity else 0.0
        return (popularity + prior.new * self.unsold).astype(np.float32)
