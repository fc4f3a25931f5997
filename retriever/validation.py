"""ndcg@10 on validation, for early stopping (reports use aisle.eval)."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray

from aisle.data.errors import InputError
from aisle.data.ids import Rows
from aisle.data.prepared import BEFORE, Prepared
from aisle.index.exact import ExactIndex
from aisle.index.settings import IndexSettings
from aisle.retriever.collapse import Signs, signs
from aisle.retriever.towers import TwoTower
from aisle.retriever.users import Users

CUT = 10
MOST_SCORES = 1 << 24
"""Scores of users and items that are in memory at once."""

SIGN_USERS = SIGN_ITEMS = 2_000
"""Users and items, drawn at random, on which a collapse is looked for."""


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

    def of(self, places: Rows) -> "Relevant":
        """Some of the users, by their places."""
        return Relevant(
            self.users[places],
            [self.items[place] for place in places],
            [self.seen[place] for place in places],
        )


class Validation:
    """The validation part of a shop: every user with a relevant item, the whole catalogue ranked.

    Args:
        prepared: the shop.
        users: how the user tower reads users.

    Raises:
        InputError: no user has a relevant item.
    """

    def __init__(self, prepared: Prepared, users: Users) -> None:
        self.relevant = relevant_in_validation(prepared, users)
        self.users = users
        past = users.histories(*BEFORE["validation"])
        self.popularity = np.bincount(past.items, minlength=len(prepared.item_ids)).astype(np.float64)

    def ndcg(self, towers: TwoTower) -> float:
        """Mean ndcg@10 of the towers without a prior."""
        with torch.inference_mode():
            users = self.users.vectors(towers, self.relevant.users, *BEFORE["validation"])
            return mean_ndcg(users, towers.item_vectors(), self.relevant)

    def signs(self, towers: TwoTower, seed: int) -> Signs:
        """What can be seen of a collapse, without a prior, on at most `SIGN_USERS` users."""
        rng = np.random.default_rng(seed)
        some = self.relevant.of(np.sort(rng.permutation(len(self.relevant.users))[:SIGN_USERS]))
        with torch.inference_mode():
            users = self.users.vectors(towers, some.users, *BEFORE["validation"]).float().cpu().numpy()
            items = towers.item_vectors().float().cpu().numpy()
            temperature = float(towers.temperature())
        _, top = ExactIndex(items, IndexSettings()).search(users, CUT, some.seen)
        sampled = items[rng.permutation(len(items))[:SIGN_ITEMS]]
        return signs(users @ sampled.T / temperature, top, some.items, some.seen, self.popularity)


def ndcg(
    scores: Float[NDArray[np.float32], "n items"], relevant: list[Rows], seen: list[Rows]
) -> Float[NDArray[np.float64], " n"]:
    """Binary ndcg@10 of each user (Järvelin & Kekäläinen 2002), whole catalogue ranked, ties counted against.

    Args:
        scores: of every item, changed in place: seen and relevant items get -inf.
        relevant: relevant rows of each user, at least one; a seen one can never be found.
        seen: rows to mask.
    """
    user, item = _pairs(relevant)
    scores[_pairs(seen)] = -np.inf
    target = scores[user, item]
    scores[user, item] = -np.inf  # what is left are the others: of equal score, they come first
    others = (scores[user] >= target[:, None]).sum(1)
    order = np.lexsort((-target, user))
    starts = np.searchsorted(user[order], user[order])
    places = others[order] + np.arange(len(order)) - starts
    found = (places < CUT) & np.isfinite(target[order])
    gains = np.bincount(user[order][found], 1 / np.log2(places[found] + 2), minlength=len(scores))
    ideal = np.cumsum(1 / np.log2(np.arange(CUT) + 2))
    shares: NDArray[np.float64] = gains / ideal[np.minimum([len(rows) for rows in relevant], CUT) - 1]
    return shares


def mean_ndcg(
    users: Float[torch.Tensor, "n dim"],
    items: Float[torch.Tensor, "items dim"],
    relevant: Relevant,
    most_scores: int = MOST_SCORES,
) -> float:
    """Mean ndcg@10 over all users of `relevant`, from their vectors and the catalogue's.

    At most `most_scores` scores are in memory at once.
    """
    gains = []
    block = max(1, most_scores // len(items))
    for start in range(0, len(users), block):
        part = slice(start, start + block)
        scores = (users[part] @ items.T).float().cpu().numpy()
        gains.append(ndcg(scores, relevant.items[part], relevant.seen[part]))
    return float(np.concatenate(gains).mean())


def grouped(users: Int[NDArray[np.int64], " n"], items: Rows) -> tuple[Rows, list[Rows]]:
    """Distinct users, sorted, and the items of each."""
    order = np.argsort(users, kind="stable")
    distinct, starts = np.unique(users[order], return_index=True)
    return distinct, np.split(items[order], starts[1:])


def relevant_in_validation(prepared: Prepared, users: Users) -> Relevant:
    """Users with something relevant in validation.

    Raises:
        InputError: there is none.
    """
    truth = prepared.truth("validation")
    rows, items = grouped(prepared.user_ids.rows(truth["user_id"]), prepared.item_ids.rows(truth["item_id"]))
    if not len(rows):
        raise InputError(
            "users with a relevant item in validation, to know when to stop",
            "none",
            "raise data.split.validation_fraction, or prepare more data",
        )
    return Relevant(rows, items, users.seen(*BEFORE["validation"]).seen(rows))


def _pairs(lists: list[Rows]) -> tuple[Rows, Rows]:
    """Place and entry of every entry of the lists."""
    owner = np.repeat(np.arange(len(lists)), [len(rows) for rows in lists])
    return owner, np.concatenate([*lists, np.empty(0, np.int64)])
