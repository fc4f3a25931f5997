"""What a ranker knows, as scores for the retriever to learn from."""

from pathlib import Path

import numpy as np
import polars as pl

from aisle.data.prepared import Prepared
from aisle.ranker.lists import Floats, Lists


def teach(shop: Prepared, lists: Lists, scores: Floats, path: Path) -> None:
    """Write scored pairs for the retriever to learn from (`retriever.objective.teacher`): a Parquet file.

    The scores are those of users on whom the scorers did not learn, after the events of training.

    Args:
        shop: whose users and items these are.
        lists: of candidates.
        scores: of their pairs.
        path: file to write.
    """
    pl.DataFrame(
        {
            "user_id": shop.user_ids.values.gather(lists.users[lists.owner]),
            "item_id": shop.item_ids.values.gather(lists.items),
            "score": scores.astype(np.float64),
        }
    ).write_parquet(path)
