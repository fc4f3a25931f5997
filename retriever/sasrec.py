"""SASRec: a sequence tower over free item vectors alone, as a recommender to be compared with.

Source: Kang and McAuley 2018, "Self-attentive sequential recommendation"; sampled softmax takes the place of
one negative for each positive, as in Klenitskiy and Vasilev 2023, "Turning dross into gold loss".
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from aisle.data.ids import Rows
from aisle.data.prepared import BEFORE, Part, Prepared
from aisle.data.progress import meter
from aisle.data.settings import TextSettings
from aisle.index.base import Index
from aisle.retriever.candidates import run_of
from aisle.retriever.fit import Fit, Job
from aisle.retriever.settings import RetrieverSettings
from aisle.retriever.sources import index_of
from aisle.retriever.towers import TwoTower
from aisle.retriever.users import AT_ONCE

NAME = "sasrec"


def sasrec_settings(base: RetrieverSettings, point: dict[str, Any]) -> RetrieverSettings:
    """Ids alone and nothing told of an event but its item and place; the schedule is that of `base`.

    Args:
        base: of our own towers: length of histories, batches, rounds, patience, arithmetic.
        point: settings by name; `temperature` is one of the objective.
    """
    kept = ("max_history", "batch_size", "warmup_steps", "round_steps", "max_rounds", "patience", "precision")
    objective = {"kind": "sampled_softmax", "temperature": point.get("temperature", 0.07)}
    return RetrieverSettings.model_validate(
        {name: getattr(base, name) for name in kept}
        | {"towers": ("ids",), "inputs": (), "id_dropout": 0.0, "objective": objective}
        | {"text_similarity": False, "co_occurrence": False}
        | {name: value for name, value in point.items() if name != "temperature"}
    )


class Sasrec:
    """One recipe on one shop; what was trained is kept in `out`, so that a killed job goes on from there.

    Args:
        prepared: the shop.
        settings: :func:`sasrec_settings`.
        out: for checkpoints; made if need be.
        seed: of everything random.
    """

    def __init__(self, prepared: Prepared, settings: RetrieverSettings, out: Path, seed: int) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self.prepared = prepared
        self._job = Job(prepared, TextSettings(), settings, out, seed)

    def searched(self) -> Fit:
        """Trained on train until validation gets no better."""
        return self._job.search(NAME, "ids", 0)

    def refitted(self, epochs: float) -> Fit:
        """Trained on train + validation for as many epochs."""
        return self._job.refit(NAME, "ids", 0, epochs)

    def run(self, towers: TwoTower, users: Sequence[str], part: Part, k: int) -> pl.DataFrame:
        """The `k` best unseen items of `users` when `part` is predicted; of those who have a history."""
        rows = self.prepared.user_ids.rows(users)
        past = BEFORE[part]
        known = rows[self._job.users.histories(*past).lengths[rows] > 0]
        with torch.inference_mode():
            index = index_of(towers.item_vectors().float().cpu().numpy())
        empty = run_of(self.prepared, known[:0], np.empty((0, 1), np.float32), np.empty((0, 1), np.int64))
        return pl.concat([empty, *self._ranked(towers, index, known, past, k)])

    def _ranked(
        self, towers: TwoTower, index: Index, rows: Rows, past: tuple[Part, ...], k: int
    ) -> Iterator[pl.DataFrame]:
        seen = self._job.users.seen(*past)
        with meter("searching", len(rows)) as progress:
            for start in range(0, len(rows), AT_ONCE):
                block = rows[start : start + AT_ONCE]
                with torch.inference_mode():
                    queries = self._job.users.vectors(towers, block, *past).float().cpu().numpy()
                yield run_of(self.prepared, block, *index.search(queries, k, seen.seen(block)))
                progress.advance(len(block))
