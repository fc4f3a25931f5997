"""What validation chooses about the sources: settings of co-occurrence and words, and the weights of all."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from scipy import sparse

from aisle.data.grid import search
from aisle.data.history import Histories
from aisle.data.ids import Rows
from aisle.data.prepared import BEFORE, Prepared
from aisle.data.progress import meter
from aisle.retriever.cooccurrence import CoOccurrenceSettings, Pairs, axes, co_occurrence
from aisle.retriever.fusion import Fusion, ShareWeight, choose
from aisle.retriever.neighbours import Neighbours
from aisle.retriever.pools import Judged, Pool
from aisle.retriever.prior import HALF_LIVES, Prior, PriorTable
from aisle.retriever.similarity import DECAYS, TextSimilarity
from aisle.retriever.sources import Asked, Sources, index_of, nearest
from aisle.retriever.users import AT_ONCE, Users
from aisle.retriever.validation import Relevant, mean_ndcg, relevant_in_validation
from aisle.retriever.words import neighbours

FUSED = "fused"
"""Name of all sources together."""

MOST_USERS = 20_000
"""Validation users, drawn at random, on whom settings and weights are chosen."""

DEPTH = 200
"""Items of each source that may be a validation user's best ones."""

POPULAR = 50
"""Items that sold most, for each half-life, in every validation user's pool."""

PASSES = 2
"""Passes over the grid of co-occurrence."""

PAST = BEFORE["validation"]


@dataclass(frozen=True)
class Weights:
    """Weights of the sources, together and alone.

    Attributes:
        fused: of all of them.
        alone: of each source with vectors alone, with a prior of its own.
        validation: ndcg@10 on validation of each source and of all together.
    """

    fused: Fusion
    alone: Mapping[str, Fusion]
    validation: Mapping[str, float]

    def priors(
        self, histories: Histories, items: int, *, timed: bool
    ) -> dict[str, Float[NDArray[np.float32], " items"]]:
        """Prior of each item after the events of `histories`, for all together and each alone."""
        table = PriorTable(histories, items, timed=timed)
        return {name: table.of(fusion.prior) for name, fusion in {FUSED: self.fused, **self.alone}.items()}

    def as_json(self) -> dict[str, Any]:
        """As JSON holds them."""
        return asdict(self)

    @classmethod
    def of_json(cls, found: Mapping[str, Any]) -> "Weights":
        """From what :meth:`as_json` gave."""

        def fusion(one: Mapping[str, Any]) -> Fusion:
            shares = tuple(ShareWeight(**weight) for weight in one["shares"])
            return Fusion(tuple(one["vectors"]), shares, Prior(**one["prior"]))

        alone = {name: fusion(one) for name, one in found["alone"].items()}
        return cls(fusion(found["fused"]), alone, found["validation"])


def choose_co_occurrence(prepared: Prepared, users: Users, seed: int) -> CoOccurrenceSettings:
    """Settings of co-occurrence with the best ndcg@10 on validation."""
    relevant = _some(relevant_in_validation(prepared, users), seed)
    histories = users.histories(*PAST)
    pairs = Pairs(histories, len(prepared.item_ids))
    with meter("tuning co-occurrence") as progress:

        def value(point: dict[str, Any]) -> float:
            progress.advance()
            return _alone(co_occurrence(pairs, CoOccurrenceSettings(**point)), histories, relevant)

        return CoOccurrenceSettings(**search(axes(timed=prepared.timed), value, passes=PASSES).point)


def choose_words(prepared: Prepared, users: Users, similar: sparse.csr_array, seed: int) -> float:
    """The decay with the best ndcg@10 on validation of shared words alone."""
    relevant = _some(relevant_in_validation(prepared, users), seed)
    histories = users.histories(*PAST)

    def value(point: dict[str, Any]) -> float:
        return _alone(neighbours(similar, point["decay"]), histories, relevant)

    return float(search({"decay": DECAYS}, value, passes=1).point["decay"])


def _alone(source: Neighbours, histories: Histories, relevant: Relevant) -> float:
    """Mean ndcg@10 of a source without vectors."""
    gains = []
    for some in blocks(relevant):
        pool, shares = source.shares(histories, some.users, some.seen)
        gains.append(Judged(pool, some.items).gains(shares))
    return float(np.concatenate(gains).mean())


def choose_decay(
    prepared: Prepared, users: Users, vectors: Float[NDArray[np.float32], "items text_dim"], seed: int
) -> float:
    """The decay with the best ndcg@10 on validation of texts alone."""
    relevant = _some(relevant_in_validation(prepared, users), seed)
    histories = users.histories(*PAST)
    items = torch.from_numpy(vectors)

    def value(point: dict[str, Any]) -> float:
        means = TextSimilarity(vectors, point["decay"]).users(histories, relevant.users)
        return mean_ndcg(torch.from_numpy(means), items, relevant)

    return float(search({"decay": DECAYS}, value, passes=1).point["decay"])


def choose_weights(prepared: Prepared, sources: Sources, seed: int) -> Weights:
    """Weights of `sources`, trained on what was before validation, with the best ndcg@10 there."""
    relevant = _some(relevant_in_validation(prepared, sources.users), seed)
    priors = PriorTable(sources.users.histories(*PAST), len(prepared.item_ids), timed=prepared.timed)
    near = _Near(sources, priors)
    pools, parts = [], []
    gains: dict[str, list[Any]] = {name: [] for name in sources.neighbours}
    for some in blocks(relevant):
        asked = sources.ask(some.users, *PAST)
        pools.append(near.pool(asked))
        parts.append([*sources.logits(asked, pools[-1]), *asked.shares_of(pools[-1])])
        for found, pointed, told in zip(gains.values(), asked.pointed, asked.shares, strict=True):
            found.append(Judged(pointed, some.items).gains(told))
    pool = Pool.stack(pools)
    judged = Judged(pool, relevant.items)
    told_of = [np.concatenate(one) for one in zip(*parts, strict=True)]
    logits, shares = told_of[: len(sources.divisors)], told_of[len(sources.divisors) :]
    alone, validation = {}, {}
    for name, logit in zip(sources.divisors, logits, strict=True):
        alone[name], validation[name] = choose(judged, [logit], [], pool.items, priors)
    validation |= {name: float(np.concatenate(one).mean()) for name, one in gains.items()}
    fused, validation[FUSED] = choose(judged, logits, shares, pool.items, priors)
    best = max(validation, key=lambda name: validation[name])
    if validation[best] > validation[FUSED]:  # one weight after the other is no search of all
        fused, validation[FUSED] = _of_one(best, alone, list(sources.neighbours)), validation[best]
    return Weights(fused, alone, validation)


def _of_one(name: str, alone: Mapping[str, Fusion], pointing: Sequence[str]) -> Fusion:
    """Weights that leave one source alone: one with vectors, or one of those `pointing` without."""
    vectors = tuple(float(name == other) for other in alone)
    shares = tuple(ShareWeight(float(name == other)) for other in pointing)
    return Fusion(vectors, shares, alone[name].prior if name in alone else Prior())


class _Near:
    """Finds the items that could be validation users' best ones."""

    def __init__(self, sources: Sources, priors: PriorTable) -> None:
        self.unsold = np.flatnonzero(priors.unsold)
        self.catalogue = len(priors.unsold)
        self.indices = [index_of(vectors) for vectors in sources.item_vectors]
        self.unsold_indices = [
            index_of(vectors[self.unsold]) for vectors in sources.item_vectors if len(self.unsold)
        ]
        lives = (None, *HALF_LIVES) if priors.timed else (None,)
        popular = [np.argsort(-priors.log_events(life), kind="stable")[:POPULAR] for life in lives]
        self.popular = np.unique(np.concatenate(popular))

    def pool(self, asked: Asked) -> Pool:
        """The best unseen items of each source, also among the unsold, and the popular ones."""
        users = len(asked)
        lists = []
        for pointed, shares in zip(asked.pointed, asked.shares, strict=True):
            best, _ = pointed.best(shares, DEPTH)
            lists.append((pointed.owner[best], pointed.items[best]))
        for queries, index in zip(asked.vectors, self.indices, strict=True):
            lists.append(nearest(index, queries, min(DEPTH, self.catalogue), asked.seen))
        for queries, index in zip(asked.vectors, self.unsold_indices, strict=False):
            user, place = nearest(index, queries, min(DEPTH, len(self.unsold)), [_NONE] * users)
            lists.append((user, self.unsold[place]))
        lists.append((np.repeat(np.arange(users), len(self.popular)), np.tile(self.popular, users)))
        return Pool.union(lists, users, self.catalogue).without(asked.seen)[0]


def blocks(relevant: Relevant) -> Iterator[Relevant]:
    """Some users at a time."""
    for start in range(0, len(relevant.users), AT_ONCE):
        yield relevant.of(np.arange(start, min(start + AT_ONCE, len(relevant.users))))


def _some(relevant: Relevant, seed: int) -> Relevant:
    chosen = np.random.default_rng(seed).permutation(len(relevant.users))[:MOST_USERS]
    return relevant.of(np.sort(chosen))


_NONE: Rows = np.empty(0, np.int64)
