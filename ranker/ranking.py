"""Lists in the ranker's order, as tables."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from aisle.data.history import Histories
from aisle.data.ids import Ids
from aisle.data.prepared import Prepared
from aisle.data.progress import meter
from aisle.data.tables import TableWriter
from aisle.ranker.alarm import warn_if_constant
from aisle.ranker.lists import Floats, Lists
from aisle.ranker.model import RankerModel
from aisle.ranker.pairs import PAST
from aisle.retriever.candidates import RUN

USERS_AT_ONCE = 2_000


def ordered(lists: Lists, scores: Floats, users: Ids, items: Ids, k: int | None = None) -> pl.DataFrame:
    """The `k` best of each list by their scores, equal ones in the order of the list, as a run.

    Args:
        lists: as they came.
        scores: of the pairs.
        users: ids of the lists' users.
        items: ids of the items.
        k: all of them unless told.
    """
    order = np.lexsort((lists.ranks, -scores, lists.owner))
    ranks = lists.ranks
    kept = slice(None) if k is None else ranks <= k
    chosen = order[kept]
    columns = {
        "user_id": users.values.gather(lists.users[lists.owner[chosen]]),
        "rank": ranks[kept],
        "item_id": items.values.gather(lists.items[chosen]),
        "score": scores[chosen],
    }
    return pl.DataFrame(columns, schema=RUN, strict=False)


def scored(
    model: RankerModel, shop: Prepared, histories: Histories, candidates: pl.DataFrame
) -> tuple[Lists, Floats]:
    """A table of candidates as lists, and the score of each pair.

    Args:
        model: of the ranker.
        shop: whose users these are.
        histories: :func:`histories_of` the shop.
        candidates: user_id, item_id, score, and a column for each source of the retriever.

    Raises:
        InputError: a candidate is of an unknown user or item, or twice in a list.
    """
    lists = Lists.of(candidates, shop.user_ids, shop.item_ids)
    return lists, model.scores(model.features(lists, histories), lists, shop)


def rank_candidates(prepared: Prepared, model: RankerModel, candidates: Path, out: Path) -> None:
    """Put the candidates of a shop's users in order: `out`, a run in Parquet.

    Users are taken some at a time.

    Args:
        prepared: the shop; what users did before its test part is known.
        model: trained on it.
        candidates: Parquet with user_id, item_id, score, and a column for each source of the retriever.
        out: file to write.

    Raises:
        InputError: a candidate is of an unknown user or item, or twice in a list.
    """
    histories = histories_of(prepared)
    alarm_scores, alarm_owner, lists_seen = [], [], 0
    with TableWriter(out, RUN) as table:
        for some in _blocks(candidates):
            lists, scores = scored(model, prepared, histories, some)
            table.append(ordered(lists, scores, prepared.user_ids, prepared.item_ids))
            alarm_scores.append(scores)
            alarm_owner.append(lists.owner + lists_seen)
            lists_seen += len(lists)
    if alarm_scores:
        warn_if_constant(np.concatenate(alarm_scores), np.concatenate(alarm_owner))


def _blocks(candidates: Path) -> Iterator[pl.DataFrame]:
    table = pl.scan_parquet(candidates)
    users = table.select(pl.col("user_id").unique(maintain_order=True)).collect()["user_id"]
    with meter("ranking", len(users)) as progress:
        for start in range(0, len(users), USERS_AT_ONCE):
            some = users.slice(start, USERS_AT_ONCE)
            yield table.filter(pl.col("user_id").is_in(some.implode())).collect()
            progress.advance(len(some))


def histories_of(prepared: Prepared) -> Histories:
    """What is known of a shop's users when they are ranked for."""
    return prepared.histories(*PAST).merge_repeats(prepared.target_kinds)
