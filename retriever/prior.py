"""What is known of an item before the user is: its popularity, and that it is new.

The towers' softmax is a model of p(item | user) on the training data. Tastes of the whole shop drift, and
items that were never sold in training were never compared. So a score gets a prior in the units of the
softmax's logits,

    score / temperature + popularity * log(1 + recent events of the item) + new * [item has no event],

with weights chosen by ndcg@10 on validation: zero where the data asks for no prior (adjusting scores by
a class prior: Menon et al. 2021, "Long-tail learning via logit adjustment", section 3).
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray

from aisle.data.history import Histories
from aisle.data.schema import DAY

HALF_LIVES: tuple[float, ...] = (7.0, 30.0, 90.0, 365.0)
POPULARITY = (0.1, 0.25, 0.5, 0.75, 1.0)
NEW = (-8.0, -4.0, -2.0, -1.0, -0.5, 0.5, 1.0, 2.0)


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

    def of(self, histories: Histories, items: int) -> Float[torch.Tensor, " items"]:
        """The prior of each of `items` items after the events of `histories`, in logits."""
        weights = None
        if self.half_life is not None and len(histories.times):
            weights = np.exp2((histories.times - histories.times.max()) / (DAY * self.half_life))
        events: NDArray[np.float64] = np.bincount(histories.items, weights, minlength=items).astype(
            np.float64
        )
        unsold = np.bincount(histories.items, minlength=items) == 0
        return torch.from_numpy(self.popularity * np.log1p(events) + self.new * unsold).float()


def choose(score: Callable[[Prior], float], *, timed: bool) -> Prior:
    """The prior with the best `score`; one weight after the other, and none without a gain.

    Args:
        score: ndcg@10 on validation with a prior.
        timed: whether times of events are known; without them all events count alike.
    """
    best, best_score = Prior(), score(Prior())
    half_lives = (None, *HALF_LIVES) if timed else (None,)
    steps = (
        [{"popularity": weight, "half_life": days} for days in half_lives for weight in POPULARITY],
        [{"new": weight} for weight in NEW],
    )
    for step in steps:
        for prior in [Prior(**{**asdict(best), **change}) for change in step]:
            value = score(prior)
            if value > best_score:
                best, best_score = prior, value
    return best
