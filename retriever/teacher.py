"""A teacher's scores of user-item pairs, from a plain Parquet file, as lists to learn from.

Whoever scores (a ranker, people) and the towers know nothing of each other but the file.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from torch import Tensor, nn

from aisle.data.errors import InputError
from aisle.data.ids import Rows
from aisle.data.prepared import Prepared
from aisle.retriever import processes
from aisle.retriever.batches import Batch
from aisle.retriever.distillation import kl, margin_mse

LOG = logging.getLogger(__name__)

COLUMNS = ("user_id", "item_id", "score")


@dataclass(frozen=True)
class Taught(Batch):
    """Users, and the items that the teacher scored for each.

    Attributes:
        past: what the user tower reads.
        items: item rows of each user's list; 0 in padding.
        scores: the teacher's; 0 in padding.
        present: where a list holds an item.
    """

    past: Batch
    items: Int[Tensor, "users k"]
    scores: Float[Tensor, "users k"]
    present: Bool[Tensor, "users k"]


@dataclass(frozen=True)
class Teacher:
    """Lists of scored items, one a user.

    Attributes:
        users: user rows, int64 (n), increasing.
        items: item rows of each list, int64 (n, k); 0 in padding.
        scores: float32 (n, k); 0 in padding.
        lengths: items of each list, int64 (n), at least 2.
    """

    users: Rows
    items: Int[NDArray[np.int64], "n k"]
    scores: Float[NDArray[np.float32], "n k"]
    lengths: Rows

    def choose(self, number: int, seed: tuple[int, ...]) -> Rows:
        """Places of at most `number` lists, at random; equal seeds draw alike."""
        number = min(number, len(self.users))
        return np.random.default_rng(seed).choice(len(self.users), number, replace=False)

    def lists(self, places: Rows, past: Batch) -> Taught:
        """Some of the lists, with what the user tower reads for their users."""
        width = int(self.lengths[places].max())
        present = np.arange(width) < self.lengths[places][:, None]
        return Taught(
            past,
            torch.from_numpy(self.items[places, :width]),
            torch.from_numpy(self.scores[places, :width]),
            torch.from_numpy(present),
        )


def read_teacher(path: Path, prepared: Prepared) -> Teacher:
    """Scored pairs of a Parquet file: user_id and item_id as in the shop's data, score any finite number.

    A higher score is a better item for the user after the events of training. Pairs of unknown users or
    items, and a user's only pair, teach nothing and are left out; how many is logged.

    Raises:
        InputError: no such file, columns missing or of another type, a score that is no finite number, a pair
            twice, or no user with two pairs.
    """
    frame = _scored_pairs(path)
    pairs = frame.select(
        user=prepared.user_ids.code("user_id"), item=prepared.item_ids.code("item_id"), score="score"
    ).drop_nulls()
    lists = pairs.filter(pl.len().over("user") > 1).sort("user", pl.col("score"), descending=[False, True])
    LOG.info(
        "teacher: %d of %d pairs used, %d of unknown users or items, %d alone",
        len(lists),
        len(frame),
        len(frame) - len(pairs),
        len(pairs) - len(lists),
    )
    if lists.is_empty():
        raise InputError(
            "a teacher with two scored items of the shop's for at least one user",
            f"none among {len(frame)} pairs in {path}",
            "score candidates of this shop's users, with ids as in its data",
        )
    users, starts, lengths = np.unique(lists["user"].to_numpy(), return_index=True, return_counts=True)
    column = np.arange(lengths.max())
    inside = column < lengths[:, None]
    place = np.where(inside, starts[:, None] + column, 0)
    items = np.where(inside, lists["item"].to_numpy()[place], 0).astype(np.int64)
    scores = np.where(inside, lists["score"].to_numpy()[place], 0).astype(np.float32)
    return Teacher(users.astype(np.int64), items, scores, lengths.astype(np.int64))


def _scored_pairs(path: Path) -> pl.DataFrame:
    """The three columns, checked."""
    expected = "a Parquet file of a teacher's scores: user_id and item_id as text, score as numbers"
    fix = "write it with these columns, or unset retriever.objective.teacher"
    try:
        frame = pl.read_parquet(path, columns=list(COLUMNS))
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(expected, f"{path}: {str(error).splitlines()[0]}", fix) from error
    types = dict(frame.schema)
    if not (types["user_id"] == types["item_id"] == pl.String and types["score"].is_numeric()):
        raise InputError(expected, f"{path}: {types}", fix)
    frame = frame.with_columns(pl.col("score").cast(pl.Float64))
    bad = int((~frame["score"].is_finite()).sum()) + frame["score"].null_count()
    if bad:
        raise InputError("finite scores of the teacher", f"{bad} of {len(frame)} are not, in {path}", fix)
    twice = len(frame) - frame.select("user_id", "item_id").n_unique()
    if twice:
        raise InputError(
            "one score for each pair of user and item", f"{twice} pairs more than once in {path}", fix
        )
    return frame


@dataclass(frozen=True)
class Lessons:
    """Which lists are learned from in which step.

    Attributes:
        teacher: all lists.
        inputs: what the user tower reads for some user rows.
        number: lists in a step of one process.
        seed: equal seeds give equal lessons; each process has its own.
    """

    teacher: Teacher
    inputs: Callable[[Rows], Batch]
    number: int
    seed: int

    def of(self, step: int) -> Taught:
        """The lists of a step."""
        places = self.teacher.choose(self.number, (self.seed, step, processes.rank()))
        return self.teacher.lists(places, self.inputs(self.teacher.users[places]))


class Teaching(nn.Module):
    """The weighted loss of the towers' scores against a teacher's.

    Args:
        kind: kl between softmaxes over a user's list, or squared differences of margins.
        weight: what the loss is multiplied by.
    """

    def __init__(self, kind: Literal["kl", "margin_mse"], weight: float) -> None:
        super().__init__()
        self.loss = {"kl": kl, "margin_mse": margin_mse}[kind]
        self.weight = weight

    def forward(
        self,
        users: Float[Tensor, "n dim"],
        items: Float[Tensor, "m dim"],
        places: Int[Tensor, "n k"],
        taught: Taught,
        temperature: Float[Tensor, ""],
    ) -> Float[Tensor, ""]:
        """Loss of the users' vectors and those of the items at `places` of their lists."""
        scores = torch.einsum("nd,nkd->nk", users, items[places]) / temperature
        return self.weight * self.loss(scores, taught.scores, taught.present)
