"""Metrics by name, and measures: a metric at a cut-off, written `recall@10`."""

import difflib
import re
from collections.abc import Callable
from typing import NamedTuple

from aisle.eval.catalogue import Catalogue
from aisle.eval.judged import Judged, UserScores
from aisle.eval.metrics.auc import auc
from aisle.eval.metrics.average_precision import average_precision
from aisle.eval.metrics.coverage import coverage
from aisle.eval.metrics.diversity import diversity
from aisle.eval.metrics.gini import gini
from aisle.eval.metrics.hit_rate import hit_rate
from aisle.eval.metrics.miscalibration import miscalibration
from aisle.eval.metrics.mrr import mrr
from aisle.eval.metrics.ndcg import ndcg, ndcg_exp
from aisle.eval.metrics.novelty import novelty
from aisle.eval.metrics.popularity_bias import popularity_bias
from aisle.eval.metrics.precision import precision
from aisle.eval.metrics.r_precision import r_precision
from aisle.eval.metrics.recall import recall, recall_capped
from aisle.eval.metrics.serendipity import serendipity
from aisle.eval.profiles import Profiles

USER_METRICS: dict[str, Callable[[Judged, int], UserScores]] = {
    "recall": recall,
    "recall_capped": recall_capped,
    "ndcg": ndcg,
    "ndcg_exp": ndcg_exp,
    "mrr": mrr,
    "hit_rate": hit_rate,
    "precision": precision,
    "map": average_precision,
    "r_precision": r_precision,
    "auc": auc,
    "novelty": novelty,
    "diversity": diversity,
    "serendipity": serendipity,
    "popularity_bias": popularity_bias,
    "miscalibration": miscalibration,
}
"""Metrics with one score a user; the mean over the users is the value of a run."""

CATALOGUE_METRICS: dict[str, Callable[[Judged, int], float]] = {"coverage": coverage, "gini": gini}
"""Metrics of all lists together, which no single user has."""

NEITHER = ("novelty", "diversity", "popularity_bias", "miscalibration")
"""Metrics of which more is not better for everybody: no model is called better or worse by them."""

NEEDS: dict[str, str] = {
    "auc": "catalogue",
    "coverage": "catalogue",
    "gini": "catalogue",
    "novelty": "events",
    "serendipity": "events",
    "popularity_bias": "events",
    "diversity": "vectors",
    "miscalibration": "profiles",
}
"""What a metric reads beside run and truth: the size of the "catalogue", something that it says of the items
(:meth:`aisle.eval.catalogue.Catalogue.has`), or "profiles" of the users (:mod:`aisle.eval.profiles`)."""


def is_known(metric: str, catalogue: Catalogue | None, profiles: Profiles | None = None) -> bool:
    """Whether what a metric needs has been given."""
    need = NEEDS.get(metric)
    if need is None or catalogue is None:
        return need is None
    return need == "catalogue" or catalogue.has(need) or (need == "profiles" and profiles is not None)


class Measure(NamedTuple):
    """A metric at a cut-off.

    >>> str(Measure("recall", 10))
    'recall@10'
    """

    metric: str
    k: int

    def __str__(self) -> str:
        return f"{self.metric}@{self.k}"


def parse(text: str) -> Measure:
    """Read a measure: `parse("ndcg@10") == Measure("ndcg", 10)`.

    Raises:
        ValueError: not of the form `metric@k`, an unknown metric, or a cut-off of zero.
    """
    match = re.fullmatch(r"(\w+)@([1-9]\d*)", text)
    if match is None:
        raise ValueError(f"a measure is written metric@k with k >= 1, such as ndcg@10, not {text!r}")
    known = [*USER_METRICS, *CATALOGUE_METRICS]
    if match[1] not in known:
        near = difflib.get_close_matches(match[1], known, 1)
        hint = f"; did you mean {near[0]}?" if near else f"; known: {', '.join(known)}"
        raise ValueError(f"unknown metric {match[1]!r}{hint}")
    return Measure(match[1], int(match[2]))
