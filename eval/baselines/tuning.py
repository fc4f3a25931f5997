"""How every baseline is tuned: so many trials, on the same users of the validation part."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from aisle.data.grid import search
from aisle.data.prepared import Prepared
from aisle.eval.baselines.settings import BaselineSettings
from aisle.eval.judging import judge
from aisle.eval.metrics.ndcg import ndcg
from aisle.eval.runs import check_truth

CUT = 10
"""Tuning maximises ndcg at this rank."""


class Tuned(NamedTuple):
    """The best point, and what a report says of how it was found."""

    point: dict[str, Any]
    how: dict[str, object]


def tuning_truth(prepared: Prepared, settings: BaselineSettings, seed: int) -> pl.DataFrame:
    """The validation truth of a sample of its users, `settings.tuning_users` at most."""
    truth = prepared.truth("validation")
    users = truth["user_id"].unique().sort()
    if len(users) <= settings.tuning_users:
        return truth
    chosen = np.random.default_rng(seed).choice(len(users), settings.tuning_users, replace=False)
    return truth.filter(pl.col("user_id").is_in(users.gather(np.sort(chosen)).implode()))


def worth(run: pl.DataFrame, truth: pl.DataFrame) -> float:
    """What is maximised: ndcg@10 of a run."""
    return float(ndcg(judge(run, check_truth(truth), depth=CUT), CUT).mean())


def tune(
    axes: Mapping[str, Sequence[Any]],
    value: Callable[[dict[str, Any]], float],
    settings: BaselineSettings,
    truth: pl.DataFrame,
    seed: int,
) -> Tuned:
    """Search a grid under the budget of `settings` (:func:`aisle.data.grid.search`).

    Args:
        axes: values by setting.
        value: :func:`worth` of a point, for the users of `truth`.
        truth: :func:`tuning_truth`.
        seed: of the points that are drawn.
    """
    found = search(axes, value, passes=settings.passes, trials=settings.trials, seed=seed)
    how: dict[str, object] = {
        "trials": settings.trials,
        "points tried": found.tried,
        "passes": found.passes,
        "settled": found.settled,
    }
    if found.value is not None:
        how |= {"tuning users": truth["user_id"].n_unique(), f"validation ndcg@{CUT}": found.value}
    return Tuned(found.point, how)
