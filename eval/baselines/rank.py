"""From scores to runs: seen items out, the k best, ties in a fixed order."""

import numpy as np
import polars as pl
from scipy import sparse

from aisle.data.history import Histories
from aisle.data.ids import Ids, Rows
from aisle.eval.baselines.past import Past, Scorer, Scores
from aisle.eval.truth import places

_SCORES_AT_ONCE = 1 << 24


def rank(
    scorer: Scorer, past: Past, user_rows: Rows, seen: Histories, k: int, *, users: Ids, items: Ids
) -> pl.DataFrame:
    """The k best items of each user that are not in `seen`: user_id, rank (from 1), item_id, score.

    By score, then item row. Items about which the scorer knows nothing (score 0) follow behind the others, by
    popularity, with negative scores; so a user without history gets the popularity list.
    """
    prior = _prior(past.popularity)
    mask = sparse.csr_array(
        (np.ones(len(seen.items), bool), seen.items, seen.offsets), (len(seen), past.n_items)
    )
    at_once = max(1, _SCORES_AT_ONCE // max(1, past.n_items))
    parts: list[tuple[Rows, Rows, Scores]] = [
        (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))
    ]
    for start in range(0, len(user_rows), at_once):
        rows = user_rows[start : start + at_once]
        scores = scorer.scores(rows)
        np.copyto(scores, prior, where=scores == 0)
        masked = mask[rows].tocoo()
        scores[masked.row, masked.col] = -np.inf
        owners, best, values = top_k(scores, k)
        parts.append((rows[owners], best, values))
    owner, item, score = (np.concatenate(column) for column in zip(*parts, strict=True))
    return pl.DataFrame(
        {
            "user_id": users.values.gather(owner),
            "rank": places(owner),
            "item_id": items.values.gather(item),
            "score": score.astype(np.float64),
        }
    )


def top_k(scores: Scores, k: int) -> tuple[Rows, Rows, Scores]:
    """The k largest finite `scores` (n_rows, n_items) of each row, from large to small; ties by item row.

    Returns:
        row, item row (both int64) and score of each, row by row; rows with fewer finite scores have fewer.
    """
    n_items = scores.shape[1]
    chosen = np.isfinite(scores)
    if k < n_items:
        chosen &= scores >= np.partition(scores, n_items - k, axis=1)[:, n_items - k, None]
    rows, items = np.nonzero(chosen)
    values = scores[rows, items]
    order = np.lexsort((items, -values, rows))
    order = order[places(rows[order]) <= k]
    return rows[order], items[order], values[order]


def _prior(popularity: Rows) -> Scores:
    """Scores from -1 to below 0, float32 (n_items), in the order of popularity, then item row."""
    prior = np.empty(len(popularity), np.float32)
    prior[np.argsort(-popularity, kind="stable")] = np.linspace(-0.5, -1, len(popularity))
    return prior
