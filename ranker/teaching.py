"""What a ranker knows, as scores for others to learn from."""

from pathlib import Path

import numpy as np
import polars as pl

from aisle.data.ids import Rows
from aisle.data.prepared import Prepared
from aisle.ranker.features import Features
from aisle.ranker.lists import Floats, Lists
from aisle.ranker.network import Network
from aisle.ranker.settings import NetworkSettings

TEMPERATURE = 0.5
"""By which a teacher's normalised scores are divided before the softmax of a list."""


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


def student(
    features: Features, sizes: Rows, scores: Floats, settings: NetworkSettings, *, seed: int
) -> Network:
    """A small network that orders lists as a teacher does: it learns the softmax of the teacher's scores.

    Source: Hinton, Vinyals and Dean 2015, "Distilling the Knowledge in a Neural Network"; for rankings, Reddi
    et al. 2021, "RankDistil", section 3.

    Args:
        features: of the pairs, list after list; they need not be labelled.
        sizes: pairs of each list.
        scores: the teacher's, of deviation about 1.
        settings: the network's recipe; its loss is the listwise one.
        seed: of everything random.
    """
    owner = np.repeat(np.arange(len(sizes)), sizes)
    highest = np.full(len(sizes), -np.inf)
    np.maximum.at(highest, owner, scores)
    weights = np.exp((scores - highest[owner]) / TEMPERATURE)
    shares = weights / np.bincount(owner, weights)[owner]
    listwise = settings.model_copy(update={"loss": "listwise"})
    return Network.fit(features, sizes, shares.astype(np.float32), listwise, seed=seed)
