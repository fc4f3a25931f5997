"""From scores to runs: seen items out, the k best, ties in a fixed order."""

import numpy as np
import polars as pl

from aisle.data.history import Histories
from aisle.data.ids import Ids, Rows
from aisle.eval.baselines.past import Past, Scorer, Scores
from aisle.eval.ranking import rank_all

_SCORES_AT_ONCE = 1 << 24


def rank(
    scorer: Scorer, past: Past, user_rows: Rows, seen: Histories, k: int, *, users: Ids, items: Ids
) -> pl.DataFrame:
    """The k best items of each user that are not in `seen`: user_id, rank (from 1), item_id, score.

    By score, then item row. Items about which the scorer knows nothing (score 0) follow behind the others, by
    popularity, with negative scores; so a user without history gets the popularity list.
    """
    prior = _prior(past.popularity)

    def score(rows: Rows, first: int, last: int) -> Scores:
        scores = scorer.scores(rows)[:, first:last]
        np.copyto(scores, prior[first:last], where=scores == 0)
        return scores

    width = max(1, past.n_items)
    blocks = rank_all(
        score,
        user_rows,
        past.n_items,
        k,
        seen=seen,
        users_at_once=max(1, _SCORES_AT_ONCE // width),
        items_at_once=width,
    )
    empty = pl.DataFrame(
        schema={"user_id": pl.String, "rank": pl.Int64, "item_id": pl.String, "score": pl.Float64}
    )
    return pl.concat([empty, *(block.run(users, items) for block in blocks)])


def _prior(popularity: Rows) -> Scores:
    """Scores from -1 to below 0, float32 (n_items), in the order of popularity, then item row."""
    prior = np.empty(len(popularity), np.float32)
    prior[np.argsort(-popularity, kind="stable")] = np.linspace(-0.5, -1, len(popularity))
    return prior
