"""How each kind of user tower reads a shop's users: histories as arrays, or histories as text."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from functools import cache, partial
from pathlib import Path

import numpy as np
import polars as pl
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from aisle.data.history import Histories, event_time
from aisle.data.ids import Rows
from aisle.data.prepared import Part, Prepared
from aisle.data.schema import of_kinds
from aisle.data.settings import TextSettings
from aisle.retriever.arithmetic import device
from aisle.retriever.batches import (
    Batch,
    PaddedHistories,
    SequenceDataset,
    TextDataset,
    TextPast,
    pad,
)
from aisle.retriever.combined import CombinedDataset, CombinedPast
from aisle.retriever.encoder import Encoder
from aisle.retriever.inputs import told
from aisle.retriever.kept import kept
from aisle.retriever.settings import RetrieverSettings
from aisle.retriever.texts import history_texts, item_texts, kept_vectors
from aisle.retriever.towers import TwoTower

AT_ONCE = 1024
"""Users in one pass of the towers, at most."""

MOST_PLACES = 1 << 16
"""Users times the longest history in one pass of the towers."""


class Users(ABC):
    """The user side of a shop, as one kind of user tower needs it."""

    def __init__(self, prepared: Prepared) -> None:
        self.prepared = prepared
        self.at_once = AT_ONCE

    @kept
    def histories(self, *parts: Part) -> Histories:
        """Histories over `parts`; a look, a cart and a purchase in a row are one event."""
        return self.prepared.histories(*parts).merge_repeats(self.prepared.target_kinds)

    @kept
    def seen(self, *parts: Part) -> Histories:
        """Histories over `parts` of what must not be recommended again."""
        return self.prepared.histories(*parts, kinds=self.prepared.seen_kinds)

    @abstractmethod
    def of(self, prepared: Prepared) -> "Users":
        """The users of another shop with this catalogue, read in the same way by the same language model."""

    @abstractmethod
    def examples(self, *parts: Part) -> SequenceDataset | TextDataset:
        """Training examples from the events of `parts`."""

    @abstractmethod
    def inputs(self, user_rows: Rows, *past: Part) -> Batch:
        """What the user tower reads for these users after the events of `past`."""

    def vectors(self, towers: TwoTower, user_rows: Rows, *past: Part) -> Float[Tensor, "n dim"]:
        """Vectors of users after the events of `past`, by the towers as they are."""
        place = next(towers.parameters()).device
        blocks = [user_rows[start : start + self.at_once] for start in range(0, len(user_rows), self.at_once)]
        return torch.cat([towers.user_vectors(self.inputs(block, *past).to(place)) for block in blocks])


class SequenceUsers(Users):
    """Histories as padded arrays of item rows."""

    def __init__(self, prepared: Prepared, settings: RetrieverSettings) -> None:
        super().__init__(prepared)
        self.settings = settings
        self.longest = settings.max_history
        self.at_once = max(1, min(AT_ONCE, MOST_PLACES // (self.longest + 1)))
        self.told_of = settings.inputs

    def of(self, prepared: Prepared) -> "SequenceUsers":
        """The users of another shop."""
        return SequenceUsers(prepared, self.settings)

    @kept
    def told(self, *parts: Part) -> dict[str, NDArray[np.int8]]:
        """Codes of the events of `parts`; prediction is at the moment of the last of them in the shop."""
        held = {
            "ratings": self.histories(*parts).ratings is not None,
            "gaps": self.prepared.timed,
            "recency": self.prepared.split_by_time,
        }
        names = [name for name in self.told_of if held[name]]
        return told(self.histories(*parts), names, self.prepared.moment)

    def examples(self, *parts: Part) -> SequenceDataset:
        """All users with something to predict among their most recent events."""
        return SequenceDataset(
            self.histories(*parts), self.prepared.target_kinds, self.longest, self.told(*parts)
        )

    def inputs(self, user_rows: Rows, *past: Part) -> PaddedHistories:
        """The most recent events, padded."""
        return pad(self.histories(*past), user_rows, self.longest, self.told(*past))


class TextUsers(Users):
    """Histories as text, read by the language model.

    Vectors are kept in `folder`, so that a killed run does not encode again.
    """

    def __init__(
        self,
        prepared: Prepared,
        text: TextSettings,
        settings: RetrieverSettings,
        encoder: Encoder,
        folder: Path | None,
    ) -> None:
        super().__init__(prepared)
        self.text = text
        self.settings = settings
        self.encoder = encoder
        self.folder = folder
        self.items = cache(partial(texts_by_id, prepared, text))

    def of(self, prepared: Prepared) -> "TextUsers":
        """The users of another shop; the texts of the items, which it shares, are not made again."""
        other = TextUsers(prepared, self.text, self.settings, self.encoder, None)
        other.items = self.items
        return other

    def examples(self, *parts: Part) -> TextDataset:
        """The last `text_examples` target events of each user, each with the history before it."""
        events, _ = self.ordered(*parts)
        targets = events.filter(of_kinds(self.prepared.target_kinds), pl.col("item_id").is_not_null())
        chosen = targets.group_by("user", maintain_order=True).tail(self.settings.text_examples)
        vectors = self.vectors_before(chosen["row"].to_numpy(), *parts)
        return TextDataset(vectors, torch.from_numpy(self.prepared.item_ids.rows(chosen["item_id"])))

    def inputs(self, user_rows: Rows, *past: Part) -> TextPast:
        """The language model's vectors of the rendered histories."""
        return TextPast(self.past_vectors(*past)[user_rows])

    @kept
    def past_vectors(self, *past: Part) -> Float[Tensor, "users text_dim"]:
        """The language model's vectors of all histories over `past`."""
        events, offsets = self.ordered(*past)
        spans = zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)
        return self._vectors(events, spans, *past)

    def vectors_before(self, rows: Rows, *parts: Part) -> Float[Tensor, "n text_dim"]:
        """The language model's vectors of the histories before the given rows of `ordered(*parts)`."""
        events, offsets = self.ordered(*parts)
        owners = events["user"].to_numpy()[rows]
        return self._vectors(events, zip(offsets[owners].tolist(), rows.tolist(), strict=True), *parts)

    @kept
    def ordered(self, *parts: Part) -> tuple[pl.DataFrame, Rows]:
        """Events by user and time, with `user` and `row`; offsets, int64 (n_users + 1)."""
        events = self.prepared.events(*parts).with_columns(
            user=self.prepared.user_ids.code("user_id"), time=event_time()
        )
        ordered = events.collect().sort("user", "time", maintain_order=True).with_row_index("row")
        ordered = ordered.cast({"row": pl.Int64})
        counts = np.bincount(ordered["user"].to_numpy(), minlength=len(self.prepared.user_ids))
        return ordered, np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    def _vectors(
        self, events: pl.DataFrame, spans: Iterable[tuple[int, int]], *past: Part
    ) -> Float[Tensor, "n text_dim"]:
        texts = history_texts(events, spans, self.items(*past), self.text, self.encoder.count_tokens)
        longest = self.text.history_tokens + self.encoder.special_tokens
        return kept_vectors(self.folder, self.encoder, texts, "encoding histories", longest)


class CombinedUsers(Users):
    """Histories as padded arrays and, for the last targets of each user, as text."""

    def __init__(self, sequence: SequenceUsers, text: TextUsers) -> None:
        super().__init__(sequence.prepared)
        self.at_once = sequence.at_once
        self.sequence = sequence
        self.text = text

    def of(self, prepared: Prepared) -> "CombinedUsers":
        """The users of another shop."""
        return CombinedUsers(self.sequence.of(prepared), self.text.of(prepared))

    def examples(self, *parts: Part) -> CombinedDataset:
        """All users with something to predict; `text_examples` targets of each have a text."""
        sequences = self.sequence.examples(*parts)
        owners = pl.Series(np.searchsorted(sequences.histories.offsets, sequences.places, side="right"))
        last = pl.DataFrame({"user": owners, "place": sequences.places}).group_by("user", maintain_order=True)
        before = last.tail(self.text.settings.text_examples)["place"].to_numpy()
        events, _ = self.text.ordered(*parts)
        with_item = events.filter(self.prepared.item_ids.code("item_id").is_not_null())["row"].to_numpy()
        first = with_item[
            self.prepared.histories(*parts).run_starts()
        ]  # of each event of the merged histories
        return CombinedDataset(sequences, self.text.vectors_before(first[before], *parts), before)

    def inputs(self, user_rows: Rows, *past: Part) -> CombinedPast:
        """Both kinds of inputs."""
        return CombinedPast(self.sequence.inputs(user_rows, *past), self.text.inputs(user_rows, *past))


def texts_by_id(prepared: Prepared, text: TextSettings, *past: Part) -> dict[str, str]:
    """Text of each item."""
    return dict(zip(prepared.item_ids.values, item_texts(prepared, text, *past), strict=True))


def users_of(
    prepared: Prepared,
    text: TextSettings | None,
    settings: RetrieverSettings,
    encoder: Encoder | None,
    folder: Path | None,
) -> Users:
    """The user side that the settings name; `folder` keeps the vectors of histories as text."""
    sequence = SequenceUsers(prepared, settings)
    if not settings.reads_histories or text is None:
        return sequence
    encoder = encoder or Encoder.load(settings.encoder, device())
    reader = TextUsers(prepared, text, settings, encoder, folder)
    return reader if settings.user_tower == "text" else CombinedUsers(sequence, reader)
