"""Histories to batches: what the user towers see, and what they have to predict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from aisle.data.history import Histories
from aisle.data.ids import Rows
from aisle.data.schema import KINDS, Kind

SomeBatch = TypeVar("SomeBatch", bound="Batch")


class Batch:
    """Tensors that travel to a device together."""

    def to(self: SomeBatch, device: torch.device | str, **options: bool) -> SomeBatch:
        """The same batch on `device`."""
        values = (getattr(self, field.name) for field in fields(self))  # type: ignore[arg-type]
        return type(self)(*(None if value is None else value.to(device, **options) for value in values))


@dataclass(frozen=True)
class PaddedHistories(Batch):
    """A batch of histories, oldest first, padded at the end.

    Attributes:
        items: item rows; 0 in padding.
        kinds: positions in `KINDS`; 0 in padding.
        lengths: events of each user, 0 for a user without history.
        ratings: codes of the stars that an event came with, see :mod:`aisle.retriever.inputs`.
        gaps: codes of the time since the user's event before.
        waits: codes of the time from an event to the next one, or to the moment of prediction.

    The last three are None where the data has nothing of the kind, and 0 where an event has none.
    """

    items: Int[Tensor, "users events"]
    kinds: Int[Tensor, "users events"]
    lengths: Int[Tensor, " users"]
    ratings: Int[Tensor, "users events"] | None = None
    gaps: Int[Tensor, "users events"] | None = None
    waits: Int[Tensor, "users events"] | None = None

    def without_last(self) -> "PaddedHistories":
        """The same histories without the last column, and one event less each."""
        columns = ("items", "kinds", "ratings", "gaps", "waits")
        given = {name: getattr(self, name) for name in columns if getattr(self, name) is not None}
        cut = {name: value[:, :-1] for name, value in given.items()}
        return replace(self, lengths=(self.lengths - 1).clamp(min=0), **cut)


@dataclass(frozen=True)
class SequenceExamples(Batch):
    """Next-event prediction at every place of a batch of histories.

    Place `j` of a history has seen the events before `j`; its target is event `j`, if `wanted`.
    """

    histories: PaddedHistories
    targets: Int[Tensor, "users events"]
    wanted: Bool[Tensor, "users events"]

    @property
    def target_rows(self) -> Int[Tensor, " n"]:
        """Item rows to predict, in the order of the training pairs."""
        return self.targets[self.wanted]

    @property
    def seen(self) -> list[Rows]:
        """For each training pair, the item rows of its user, before the target and after."""
        events = self.histories.lengths.cpu().numpy() + 1  # the last one is a target only
        inside = np.arange(self.targets.shape[1]) < events[:, None]
        items = self.targets.cpu().numpy()
        users = [np.unique(row[known]) for row, known in zip(items, inside, strict=True)]
        return [users[user] for user in torch.nonzero(self.wanted)[:, 0].tolist()]


@dataclass(frozen=True)
class TextPast(Batch):
    """Rendered histories, as vectors of the language model."""

    vectors: Float[Tensor, "users text_dim"]


@dataclass(frozen=True)
class TextExamples(Batch):
    """Rendered histories, as vectors of the language model, each with its next item."""

    vectors: Float[Tensor, "users text_dim"]
    targets: Int[Tensor, " users"]

    @property
    def target_rows(self) -> Int[Tensor, " n"]:
        """Item rows to predict, in the order of the training pairs."""
        return self.targets

    @property
    def seen(self) -> list[Rows]:
        """For each training pair, the item rows of its user that are known here: its target."""
        return [np.array([target]) for target in self.targets.tolist()]


def pad(
    histories: Histories,
    user_rows: Rows,
    longest: int,
    told: Mapping[str, NDArray[np.int8]] | None = None,
) -> PaddedHistories:
    """The `longest` most recent events of each of `user_rows`.

    Args:
        histories: of all users.
        user_rows: who is in the batch.
        longest: events of a user at most.
        told: codes of all events of `histories`, from :func:`aisle.retriever.inputs.told`.
    """
    places = recent(histories, user_rows, longest)
    flat: dict[str, NDArray[Any]] = {"items": histories.items, "kinds": histories.kinds, **(told or {})}
    columns = {name: torch.from_numpy(gathered(values, places)) for name, values in flat.items()}
    return PaddedHistories(lengths=torch.from_numpy((places >= 0).sum(1)), **columns)


def recent(histories: Histories, user_rows: Rows, longest: int) -> Int[NDArray[np.int64], "users events"]:
    """Places in the event arrays of the `longest` most recent events of each user; -1 in padding."""
    stops = histories.offsets[user_rows + 1]
    lengths = np.minimum(stops - histories.offsets[user_rows], longest)
    column = np.arange(max(1, int(lengths.max(initial=0))))
    return np.where(column < lengths[:, None], (stops - lengths)[:, None] + column, -1)


def gathered(
    values: NDArray[Any], places: Int[NDArray[np.int64], "users events"], padding: int = 0
) -> Int[NDArray[np.int64], "users events"]:
    """The values of events at `places`, with `padding` where there is none."""
    if not len(values):
        return np.full(places.shape, padding, np.int64)
    return np.where(places >= 0, values[places], padding).astype(np.int64)


class SequenceDataset(Dataset[int]):
    """Users with something to predict among their `longest + 1` most recent events.

    An example is a user row; :meth:`collate` makes a batch of some.

    Attributes:
        users: rows of the users.
        places: of the targets in the event arrays, in order.
        lengths: events of each user, the `longest + 1` most recent at most.
    """

    def __init__(
        self,
        histories: Histories,
        target_kinds: Sequence[Kind],
        longest: int,
        told: Mapping[str, NDArray[np.int8]] | None = None,
    ) -> None:
        self.histories = histories
        self.target_kinds = target_kinds
        self.longest = longest
        self.told = told
        self.target_codes = torch.tensor([KINDS.index(kind) for kind in target_kinds])
        owner = np.repeat(np.arange(len(histories)), histories.lengths)
        recent = np.arange(len(owner)) >= histories.offsets[owner + 1] - (longest + 1)
        wanted = recent & np.isin(histories.kinds, self.target_codes.numpy())
        self.places = np.flatnonzero(wanted)
        self.users = np.unique(owner[wanted])
        self.target_items = torch.from_numpy(histories.items[wanted])
        self.lengths = np.minimum(histories.lengths[self.users], longest + 1)

    def __len__(self) -> int:
        return len(self.users)

    def target_counts(self, items: int) -> Int[Tensor, " items"]:
        """How often each of `items` items is a target in one pass."""
        return torch.bincount(self.target_items, minlength=items)

    def __getitem__(self, index: int) -> int:
        return int(self.users[index])

    def collate(self, users: list[int]) -> dict[str, SequenceExamples]:
        """A batch of the given users: inputs are their events, targets the same events one place later."""
        whole = pad(self.histories, np.array(users, np.int64), self.longest + 1, self.told)
        inside = torch.arange(whole.items.shape[1]) < whole.lengths[:, None]
        wanted = inside & torch.isin(whole.kinds, self.target_codes)
        return {"examples": SequenceExamples(whole.without_last(), whole.items, wanted)}


class TextDataset(Dataset[int]):
    """Rendered histories cut before a target item; an example is a row of the arrays."""

    def __init__(self, vectors: Float[Tensor, "n text_dim"], targets: Int[Tensor, " n"]) -> None:
        self.vectors = vectors
        self.targets = targets
        self.lengths = np.ones(len(targets), np.int64)

    def __len__(self) -> int:
        return len(self.targets)

    def target_counts(self, items: int) -> Int[Tensor, " items"]:
        """How often each of `items` items is a target in one pass."""
        return torch.bincount(self.targets, minlength=items)

    def __getitem__(self, index: int) -> int:
        return index

    def collate(self, rows: list[int]) -> dict[str, TextExamples]:
        """A batch of the given rows."""
        return {"examples": TextExamples(self.vectors[rows], self.targets[rows])}
