"""ndcg@10 on validation, for early stopping (reports use aisle.eval)."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray

from aisle.data.ids import Rows

CUT = 10


@dataclass(frozen=True)
class Relevant:
    """Users to rank for, the items relevant to each, and the items that are masked.

    Attributes:
        users: user rows, int64 (n).
        items: relevant item rows of each user.
        seen: item rows of each user that are left out of the ranking.
    """

    users: Rows
    items: list[Rows]
    seen: list[Rows]


def ndcg(
    scores: Float[NDArray[np.float32], "n items"], relevant: list[Rows], seen: list[Rows]
) -> Float[NDArray[np.float64], " n"]:
    """Binary ndcg@10 of each user (Järvelin & Kekäläinen 2002), whole catalogue ranked, ties counted against.

    Args:
        scores: of every item, changed in place: seen items get -inf.
        relevant: relevant rows of each user; a seen one can never be found.
        seen: rows to mask.
    """
    gains = np.zeros(len(scores))
    for user, (wanted, masked) in enumerate(zip(relevant, seen, strict=True)):
        scores[user, masked] = -np.inf
        targets = np.sort(scores[user, wanted])[::-1]
        # place of each target if all non-relevant items of equal score come first
        others = (scores[user] >= targets[:, None]).sum(1) - (targets >= targets[:, None]).sum(1)
        places = others + np.arange(len(targets))
        found = places[(places < CUT) & np.isfinite(targets)]
        ideal = (1 / np.log2(np.arange(min(len(wanted), CUT)) + 2)).sum()
        gains[user] = (1 / np.log2(found + 2)).sum() / ideal
    return gains


def mean_ndcg(
    users: Float[torch.Tensor, "n dim"],
    items: Float[torch.Tensor, "items dim"],
    relevant: Relevant,
    block: int = 1024,
) -> float:
    """Mean ndcg@10 over all users of `relevant`, from their vectors and the catalogue's."""
    gains = []
    for start in range(0, len(users), block):
        part = slice(start, start + block)
        scores = (users[part] @ items.T).float().cpu().numpy()
        gains.append(ndcg(scores, relevant.items[part], relevant.seen[part]))
    return float(np.concatenate(gains).mean()) if gains else 0.0


def grouped(users: Int[NDArray[np.int64], " n"], items: Rows) -> tuple[Rows, list[Rows]]:
    """Distinct users, sorted, and the items of each."""
    order = np.argsort(users, kind="stable")
    distinct, starts = np.unique(users[order], return_index=True)
    return distinct, np.split(items[order], starts[1:])
