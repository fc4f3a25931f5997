"""Which of the items that a user's items point to can be among the user's best: most cannot."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from aisle.data.ids import Rows
from aisle.retriever.fusion import Fusion
from aisle.retriever.pools import Pool
from aisle.retriever.sources import Asked, Scores

SLACK = np.float32(1e-4)
"""Share of a score (of 1 at least) by which two computations of it may differ; rounding is far below."""


def contenders(
    logits: Callable[[Pool], Sequence[Scores]],
    fusion: Fusion,
    prior: Float[NDArray[np.float32], " items"],
    asked: Asked,
    near: tuple[Rows, Rows],
    k: int,
) -> Iterator[tuple[Rows, Rows]]:
    """Pairs of user and item that are pointed to and can be among the `k` best, by source without vectors.

    A share adds to a score and never takes away. So a user's `k` best score no less than the worst of any
    `k` items does without its shares, and an item that stays below that, even with the largest
    share of its user in every other source, is not one of them.

    Args:
        logits: of pairs, by source with vectors.
        fusion: weights of the score.
        prior: of the items.
        asked: what the sources say.
        near: users (places in `asked`) and item rows of pairs, unseen and allowed; of a user with fewer than
            `k`, all that is pointed to can be among the best.
        k: items wanted.
    """
    close = Pool.union([near], len(asked), len(prior))
    none = [np.zeros(len(close.items), np.float32)] * len(asked.shares)
    least = _least(close, fusion.fused(logits(close), none, prior[close.items]), k)
    least -= SLACK * np.maximum(1, np.abs(least))
    largest = [_largest(pool, shares) for pool, shares in zip(asked.pointed, asked.shares, strict=True)]
    for source, (pool, own) in enumerate(zip(asked.pointed, asked.shares, strict=True)):
        shares = [own if other == source else of_user[pool.owner] for other, of_user in enumerate(largest)]
        most = fusion.fused(logits(pool), shares, prior[pool.items])
        chosen = np.flatnonzero(~(most < least[pool.owner]))
        yield pool.owner[chosen], pool.items[chosen]


def _least(pool: Pool, scores: Scores, k: int) -> Float[NDArray[np.float32], " users"]:
    """The lowest score of each user; -inf with fewer than `k` items."""
    least = np.full(len(pool), np.inf, np.float32)
    np.minimum.at(least, pool.owner, scores)
    least[pool.sizes < k] = -np.inf
    return least


def _largest(pool: Pool, shares: Scores) -> Float[NDArray[np.float32], " users"]:
    """The largest share of each user; 0 without items."""
    largest = np.zeros(len(pool), np.float32)
    np.maximum.at(largest, pool.owner, shares)
    return largest
