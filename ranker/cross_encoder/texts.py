"""Pairs of texts: what a user did, and a candidate."""

from collections.abc import Sequence

import polars as pl
from torch import Tensor

from aisle.data.history import event_time
from aisle.data.ids import Rows
from aisle.data.prepared import BEFORE, Prepared
from aisle.data.settings import TextSettings
from aisle.data.text import render_history
from aisle.ranker.lists import Lists
from aisle.retriever.encoder import Encoder
from aisle.retriever.engine.pieces import Pieces

PAST = BEFORE["test"]


class PairTexts:
    """Tokens of pairs, cut fairly: what is longer loses first.

    Args:
        encoder: whose tokenizer reads them.
        histories: rendered history of each list.
        items: text of each item row.
        lists: of candidates.
    """

    def __init__(
        self, encoder: Encoder, histories: Sequence[str], items: Sequence[str], lists: Lists
    ) -> None:
        self.encoder = encoder
        self.histories = histories
        self.items = items
        self.lists = lists

    def tokens(self, pairs: Rows) -> dict[str, Tensor]:
        """Tokens of some pairs, padded on the right."""
        found = self.pieces(pairs)
        inputs = {"input_ids": found.ids} | ({} if found.types is None else {"token_type_ids": found.types})
        return dict(self.encoder.tokenizer.pad(inputs, return_tensors="pt"))

    def pieces(self, pairs: Sequence[int] | Rows) -> Pieces:
        """Tokens of some pairs, one piece each."""
        histories = [self.histories[place] for place in self.lists.owner[pairs]]
        items = [self.items[row] for row in self.lists.items[pairs]]
        return self.encoder.pairs(histories, items)


def histories_of(
    shop: Prepared, user_rows: Rows, items: Sequence[str], text: TextSettings, encoder: Encoder
) -> list[str]:
    """Rendered histories of users, newest event first, of at most half the tokens that the encoder reads."""
    budget = min(text.history_tokens, encoder.settings.max_tokens // 2)
    short = text.model_copy(update={"history_tokens": budget})
    ids = shop.user_ids.ids(user_rows)
    columns = ("item_id", "kind", "rating", "text", "price", "quantity")
    events = (
        shop.events(*PAST)
        .filter(pl.col("user_id").is_in(ids))
        .select("user_id", *columns, time=event_time())
        .collect()
        .sort("time", maintain_order=True)
    )
    by_user = {
        str(key[0]): rows.tail(budget) for key, rows in events.group_by("user_id", maintain_order=True)
    }
    rows = shop.item_ids

    def text_of(item: str) -> str:
        return items[int(rows.rows([item])[0])] if item in rows else ""

    nothing = events.head(0)
    return [
        render_history(
            by_user.get(user, nothing).select(columns).to_dicts(), text_of, short, encoder.count_tokens
        )
        for user in ids
    ]
