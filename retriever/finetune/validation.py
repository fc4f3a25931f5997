"""ndcg@10 of a language model alone: items close to the mean of a user's history."""

import numpy as np
import torch

from aisle.data.errors import InputError
from aisle.data.prepared import BEFORE, Part, Prepared
from aisle.retriever.encoder import Encoder
from aisle.retriever.finetune.settings import FinetuneSettings
from aisle.retriever.texts import mean_of_history
from aisle.retriever.validation import Relevant, grouped, mean_ndcg


class TextValidation:
    """Users of a part, each as the mean vector of the items before; some items compete.

    A figure for early stopping, comparable with others of the same settings and seed only: of a catalogue
    larger than `validation_items` a random part competes.

    Args:
        prepared: the shop.
        texts: of each item row.
        settings: how many users and items.
        seed: of the drawing.
        part: whose relevant items are looked for.

    Raises:
        InputError: no user of the part has events before it.
    """

    def __init__(
        self,
        prepared: Prepared,
        texts: list[str],
        settings: FinetuneSettings,
        seed: int,
        part: Part = "validation",
    ) -> None:
        truth = prepared.truth(part)
        users, wanted = grouped(
            prepared.user_ids.rows(truth["user_id"]), prepared.item_ids.rows(truth["item_id"])
        )
        histories = prepared.histories(*BEFORE[part])
        seen = prepared.histories(*BEFORE[part], kinds=prepared.seen_kinds).seen(users)
        known = np.flatnonzero(histories.lengths[users] > 0)
        if not len(known):
            raise InputError(
                f"users of {part} with events before it, to know when to stop",
                "none",
                "raise data.split.validation_fraction, or set retriever.finetune.enabled to false",
            )
        draw = np.random.default_rng(seed)
        chosen = np.sort(draw.permutation(known)[: settings.validation_users])
        past = [histories.items_of(int(user))[-settings.max_history :] for user in users[chosen]]
        others = draw.permutation(len(texts))[: settings.validation_items]
        rows = np.unique(np.concatenate([others, *past, *(wanted[place] for place in chosen)]))
        self.texts = [texts[row] for row in rows]
        self.items = np.searchsorted(rows, np.concatenate(past))
        self.offsets = np.concatenate([[0], np.cumsum([len(one) for one in past])]).astype(np.int64)
        self.relevant = Relevant(
            users[chosen],
            [np.searchsorted(rows, wanted[place]) for place in chosen],
            [np.searchsorted(rows, np.intersect1d(seen[place], rows)) for place in chosen],
        )

    def __call__(self, encoder: Encoder) -> float:
        """Mean ndcg@10."""
        vectors = encoder.encode(self.texts, "validating")
        users = mean_of_history(vectors, self.offsets, self.items)
        return mean_ndcg(torch.from_numpy(users), torch.from_numpy(vectors), self.relevant)
