"""Item vectors into an index, and the k best unseen items of every user out of it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from copy import copy
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
from jaxtyping import Bool
from numpy.typing import NDArray

from aisle.data.errors import InputError
from aisle.data.ids import Rows
from aisle.data.prepared import BEFORE, Part, Prepared
from aisle.data.progress import meter
from aisle.data.tables import TableWriter
from aisle.index import store
from aisle.index.base import NONE, Index
from aisle.index.exact import ExactIndex
from aisle.index.kinds import build
from aisle.index.settings import IndexSettings
from aisle.retriever.contenders import contenders
from aisle.retriever.lanes import in_lanes
from aisle.retriever.locate import reading_fingerprint, sha256_of
from aisle.retriever.model import Model, load
from aisle.retriever.pools import Pool
from aisle.retriever.sources import Asked, Sources, nearest
from aisle.retriever.users import AT_ONCE, users_of
from aisle.retriever.weights import FUSED

RUN = pl.Schema({"user_id": pl.String(), "rank": pl.Int64(), "item_id": pl.String(), "score": pl.Float64()})
"""Columns of any run; candidates have those of their sources behind them."""


def build_index(prepared: Prepared, model: Path, out: Path, settings: IndexSettings) -> None:
    """Index the weighted vectors of a model's sources: the files of `aisle.index.store` in `out`.

    Raises:
        InputError: the towers were trained on another catalogue, or the metric is not theirs.
    """
    if settings.metric != "inner_product":
        fix = "leave index.metric as it is: cosines of towers are in their vectors already"
        raise InputError(
            "inner products, which a model's scores are", f"index.metric = {settings.metric!r}", fix
        )
    trained = load(model)
    _same_catalogue(prepared, trained.items)
    vectors = sources_of(prepared, trained).indexed(trained.weights.fused, trained.priors[FUSED])
    store.save(build(vectors, settings), trained.items, out, model=fingerprint(model), settings=settings)


class Retriever:
    """A trained model and its index: the best unseen items of a shop's users.

    The fused score of an item that none of the user's points to (by co-occurrence, by words) is that of the
    vectors and the prior, and for all others it is larger. So the best `k` of the index and what is pointed
    to hold the best `k` there are: results are exact, up to equal scores and rounding at the last place.

    Args:
        prepared: the shop whose users are asked about.
        model: trained on its catalogue.
        index: of the model's item vectors.
        settings: where to search each source alone.
        work: folder that keeps vectors of histories as text, if any does.

    Attributes:
        allowed: bool (items), the only items that are found; None: all of them.

    Raises:
        InputError: the model was trained on another catalogue.
    """

    allowed: Bool[NDArray[np.bool_], " items"] | None = None

    def __init__(
        self,
        prepared: Prepared,
        model: Model,
        index: Index,
        settings: IndexSettings,
        work: Path | None = None,
    ) -> None:
        _same_catalogue(prepared, model.items)
        self.prepared = prepared
        self.model = model
        self.sources = sources_of(prepared, model, work)
        self.settings = settings
        self.index = index

    @classmethod
    def load(
        cls, prepared: Prepared, model: Path, index: Path, settings: IndexSettings, work: Path | None = None
    ) -> "Retriever":
        """The retriever of a model's and an index's folder.

        Raises:
            InputError: the model cannot be read or was trained on another catalogue.
            IndexFault: the index is damaged or holds the vectors of another model.
        """
        found, _ = store.load(index, settings, model=fingerprint(model))
        return cls(prepared, load(model), found, settings, work)

    def candidates(self, user_rows: Rows, past: tuple[Part, ...], k: int) -> pl.DataFrame:
        """The `k` best unseen items of users after the events of `past`, as `retrieve` writes them."""
        if not len(user_rows):
            return pl.DataFrame(schema=pl.Schema({**RUN, **dict.fromkeys(self.sources.names, pl.Float64())}))
        return self._fused(user_rows, self.sources.ask(user_rows, *past), min(k, len(self.index)))

    def scored(self, user_rows: Rows, past: tuple[Part, ...], items: Sequence[Rows]) -> pl.DataFrame:
        """The given items of users, distinct for each, best first, with the columns of :meth:`candidates`."""
        asked = self.sources.ask(user_rows, *past)
        owner = np.repeat(np.arange(len(items)), [len(rows) for rows in items])
        given = (owner, np.concatenate([*items, np.empty(0, np.int64)]))
        return self._scored(
            user_rows,
            asked,
            Pool.union([given], len(asked), len(self.prepared.item_ids)),
            len(self.prepared.item_ids),
        )

    def asking(self, prepared: Prepared) -> "Retriever":
        """The same retriever, asked about the users of another shop with this catalogue."""
        other = copy(self)
        other.prepared, other.sources = prepared, replace(self.sources, users=self.sources.users.of(prepared))
        return other

    def allowing(self, allowed: Bool[NDArray[np.bool_], " items"]) -> "Retriever":
        """The same retriever, which finds these items alone, and `k` of them whenever `k` are left."""
        other = copy(self)
        other.allowed = allowed
        return other

    def blocks(self, past: tuple[Part, ...], k: int, *, alone: bool) -> Iterator[dict[str, pl.DataFrame]]:
        """Candidates of all users, a block of them at a time, by `FUSED`, and with `alone` by source."""
        indices = self._alone() if alone else {}
        users = np.arange(len(self.prepared.user_ids))
        rows = [users[start : start + AT_ONCE] for start in range(0, len(users), AT_ONCE)]
        if len(users):
            self.sources.ask(users[:1], *past)  # what is computed once, for all users, is computed now

        def block(some: Rows) -> dict[str, pl.DataFrame]:
            asked = self.sources.ask(some, *past)
            found = {FUSED: self._fused(some, asked, k)}
            for name, index in indices.items():
                found[name] = self._of_vectors(some, asked, name, index, k)
            pointed = zip(self.sources.neighbours, asked.pointed, asked.shares, strict=True)
            for name, pool, shares in pointed if alone else ():
                found[name] = self._table(some, pool, shares, k)
            return found

        with meter("searching", len(users)) as progress:
            for some, found in zip(rows, in_lanes(block, rows), strict=True):
                yield found
                progress.advance(len(some))

    def _fused(self, user_rows: Rows, asked: Asked, k: int) -> pl.DataFrame:
        near = nearest(self.index, self.sources.queries(asked), k, asked.seen, self.allowed)
        weights, prior = self.model.weights.fused, self.model.priors[FUSED]
        lists = [near, *contenders(partial(self.sources.logits, asked), weights, prior, asked, near, k)]
        if self.allowed is not None:
            lists = [(owner[self.allowed[items]], items[self.allowed[items]]) for owner, items in lists]
        pool = Pool.union(lists, len(asked), len(self.prepared.item_ids))
        return self._scored(user_rows, asked, pool, k)

    def _scored(self, user_rows: Rows, asked: Asked, pool: Pool, k: int) -> pl.DataFrame:
        """The `k` best of each user in a pool, with what each source says."""
        logits, shares = self.sources.logits(asked, pool), asked.shares_of(pool)
        prior = self.model.priors[FUSED][pool.items]
        scores = self.model.weights.fused.fused(logits, shares, prior)
        columns = dict(zip(self.sources.names, [*logits, *shares], strict=True))
        return self._table(user_rows, pool, scores, k, columns)

    def _alone(self) -> dict[str, ExactIndex]:
        """An index of each source with vectors, with its own prior."""
        return {
            name: ExactIndex(
                np.concatenate([vectors / np.float32(temperature), self.model.priors[name][:, None]], axis=1),
                IndexSettings(device=self.settings.device),
            )
            for (name, temperature), vectors in zip(
                self.sources.divisors.items(), self.sources.item_vectors, strict=True
            )
        }

    def _of_vectors(
        self, user_rows: Rows, asked: Asked, name: str, index: ExactIndex, k: int
    ) -> pl.DataFrame:
        vectors = asked.vectors[list(self.sources.divisors).index(name)]
        queries = np.concatenate([vectors, np.ones_like(vectors[:, :1])], axis=1)
        return run_of(self.prepared, user_rows, *index.search(queries, k, asked.seen))

    def _table(
        self,
        user_rows: Rows,
        pool: Pool,
        scores: NDArray[np.float32],
        k: int,
        columns: Mapping[str, NDArray[np.float32]] | None = None,
    ) -> pl.DataFrame:
        """The `k` best of each user in a pool as a run."""
        place, rank = pool.best(scores, k)
        found = {
            "user_id": self.prepared.user_ids.values.gather(user_rows[pool.owner[place]]),
            "rank": rank,
            "item_id": self.prepared.item_ids.values.gather(pool.items[place]),
            "score": scores[place],
        }
        more = {name: values[place] for name, values in (columns or {}).items()}
        schema = pl.Schema({**RUN, **dict.fromkeys(more, pl.Float64())})
        return pl.DataFrame(found | more, schema=schema, strict=False)


def retrieve(
    prepared: Prepared,
    model: Path,
    index: Path,
    out: Path,
    settings: IndexSettings,
    *,
    part: Part = "test",
    k: int = 100,
    alone: bool = True,
) -> None:
    """Write `out/candidates.parquet`: the `k` best items of every user who has not seen them.

    Its columns are `RUN`, and what each source says: logits of vectors, shares of the others.
    Users are all those of the shop; what they did before `part` is known. They are taken a block at a time.

    Args:
        prepared: the shop.
        model: folder of the model.
        index: folder of the index that the model's item vectors are in.
        out: existing folder.
        settings: where to search.
        part: the part of the events that is to be predicted.
        k: candidates of each user.
        alone: also write what each source would say alone: `out/sources/{name}.parquet`.

    Raises:
        InputError: the model was trained on another catalogue.
        IndexFault: the index is damaged or holds the vectors of another model.
    """
    retriever = Retriever.load(prepared, model, index, settings, out / "vectors")
    folder = out / "sources"
    folder.mkdir(exist_ok=True)
    with ExitStack() as files:
        columns = pl.Schema({**RUN, **dict.fromkeys(retriever.sources.names, pl.Float64())})
        tables = {FUSED: files.enter_context(TableWriter(out / "candidates.parquet", columns))}
        for name in retriever.sources.names if alone else ():
            tables[name] = files.enter_context(TableWriter(folder / f"{name}.parquet", RUN))
        for block in retriever.blocks(BEFORE[part], min(k, len(prepared.item_ids)), alone=alone):
            for name, table in tables.items():
                table.append(block[name])


def run_of(
    prepared: Prepared, user_rows: Rows, scores: NDArray[np.float32], rows: NDArray[np.int64]
) -> pl.DataFrame:
    """A search's answer as a run.

    Args:
        prepared: the shop.
        user_rows: who asked, int64 (users).
        scores: best first, float32 (users, k).
        rows: item rows, int64 (users, k); `NONE` where no item was left.
    """
    user, place = np.nonzero(rows != NONE)
    columns = {
        "user_id": prepared.user_ids.values.gather(user_rows[user]),
        "rank": place + 1,
        "item_id": prepared.item_ids.values.gather(rows[user, place]),
        "score": scores[user, place],
    }
    return pl.DataFrame(columns, schema=RUN, strict=False)


def fingerprint(model: Path) -> str:
    """SHA-256 of the arrays and the weights in a model folder."""
    return sha256_of(*sorted(model.rglob("*.safetensors")), model / "config.json")


def encoder_of(model: Model) -> str:
    """Fingerprint of the language model that a model reads texts with; empty where it reads none, or where
    the language model is not on this machine."""
    if model.text is None:
        return ""
    try:
        return reading_fingerprint(model.settings.encoder)
    except InputError:
        return ""


def sources_of(prepared: Prepared, model: Model, work: Path | None = None) -> Sources:
    """The sources of a model, asked about the users of `prepared`."""
    users = users_of(prepared, model.reads, model.settings, None, work)
    return Sources.of(model.towers, model.temperatures, model.similarity, model.neighbours, users)


def _same_catalogue(prepared: Prepared, trained: pl.Series) -> None:
    if not trained.equals(prepared.item_ids.values):
        raise InputError(
            f"towers trained on this catalogue of {len(prepared.item_ids)} items",
            f"towers of a catalogue of {len(trained)} items, not the same ones",
            "run `aisle train` on this prepared shop",
        )
