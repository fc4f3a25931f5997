"""Item vectors into an index, and the k best unseen items of every user out of it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from aisle.data.errors import InputError
from aisle.data.ids import Rows
from aisle.data.prepared import BEFORE, Part, Prepared
from aisle.data.progress import meter
from aisle.data.settings import TextSettings
from aisle.data.tables import TableWriter
from aisle.index import store
from aisle.index.exact import NONE, ExactIndex
from aisle.index.settings import IndexSettings
from aisle.retriever import checkpoint
from aisle.retriever.arithmetic import device
from aisle.retriever.encoder import Encoder
from aisle.retriever.locate import sha256_of
from aisle.retriever.settings import EncoderSettings
from aisle.retriever.texts import digest, item_texts, mean_of_history
from aisle.retriever.users import AT_ONCE, users_of

RUN = pl.Schema({"user_id": pl.String(), "rank": pl.Int64(), "item_id": pl.String(), "score": pl.Float64()})
"""Columns of candidates, and of any run."""


def build_index(prepared: Prepared, model: Path, out: Path, settings: IndexSettings) -> None:
    """Index the item vectors of the towers in `model`: index.faiss, ids.parquet and index.json in `out`.

    Raises:
        InputError: the towers were trained on another catalogue.
    """
    trained = checkpoint.load(model)
    _same_catalogue(prepared, trained.items)
    with torch.inference_mode():
        vectors = trained.towers.indexed().numpy()
    store.save(ExactIndex(vectors, settings), trained.items, out, model=fingerprint(model))


def retrieve(
    prepared: Prepared,
    model: Path,
    index: Path,
    out: Path,
    settings: IndexSettings,
    *,
    part: Part = "test",
    k: int = 100,
) -> None:
    """Write `out/candidates.parquet`: the `k` best items of every user who has not seen them.

    Users are all those of the shop; what they did before `part` is known. They are taken a block at a time.

    Args:
        prepared: the shop.
        model: folder of the towers.
        index: folder of the index that the towers' item vectors are in.
        out: existing folder.
        settings: where to search.
        part: the part of the events that is to be predicted.
        k: candidates of each user.

    Raises:
        InputError: the towers were trained on another catalogue.
        IndexFault: the index is damaged or holds the vectors of other towers.
    """
    trained = checkpoint.load(model)
    _same_catalogue(prepared, trained.items)
    nearest, _ = store.load(index, settings, model=fingerprint(model))
    past = BEFORE[part]
    users = users_of(prepared, trained.reads, trained.settings, None, out / "vectors")

    def queries(rows: Rows) -> NDArray[np.float32]:
        with torch.inference_mode():
            vectors = trained.towers.queries(users.vectors(trained.towers, rows, *past))
        return vectors.numpy()

    with TableWriter(out / "candidates.parquet", RUN) as table:
        for block in _ranked(prepared, nearest, queries, past, k):
            table.append(block)


def encoder_run(
    prepared: Prepared,
    text: TextSettings,
    settings: EncoderSettings,
    model: Path,
    *,
    part: Part = "test",
    k: int = 100,
) -> pl.DataFrame:
    """The untouched language model as a recommender: items closest to the mean text vector of the history.

    Args:
        prepared: the shop.
        text: templates.
        settings: the language model.
        model: folder of towers; their text vectors serve if they are of the same texts and language model.
        part: the part of the events that is to be predicted.
        k: candidates of each user.

    Returns:
        A run (columns `RUN`) for all users with a history.
    """
    encoder = Encoder.load(settings, device())
    past = BEFORE[part]
    texts = item_texts(prepared, text, *past)
    vectors = checkpoint.text_vectors(model, digest(encoder, texts))
    if vectors is None:
        vectors = encoder.encode(texts, "encoding items")
    histories = prepared.histories(*past)
    means = mean_of_history(vectors, histories.offsets, histories.items)
    index = ExactIndex(vectors, IndexSettings())
    run = pl.concat(_ranked(prepared, index, lambda rows: means[rows], past, k))
    known = prepared.user_ids.values.filter(pl.Series(histories.lengths > 0))
    return run.filter(pl.col("user_id").is_in(known.implode()))


def fingerprint(model: Path) -> str:
    """SHA-256 of the towers and the text vectors in a model folder."""
    return sha256_of(*sorted(model.glob("*.safetensors")))


def _ranked(
    prepared: Prepared,
    index: ExactIndex,
    queries: Callable[[Rows], NDArray[np.float32]],
    past: tuple[Part, ...],
    k: int,
) -> Iterator[pl.DataFrame]:
    """The run of all users, a block of them at a time; `queries` gives the vectors of a block."""
    histories = prepared.histories(*past, kinds=prepared.seen_kinds)
    users = np.arange(len(prepared.user_ids))
    with meter("searching", len(users)) as progress:
        for start in range(0, len(users), AT_ONCE):
            block: Rows = users[start : start + AT_ONCE]
            scores, rows = index.search(queries(block), k, histories.seen(block))
            user, place = np.nonzero(rows != NONE)
            columns = {
                "user_id": prepared.user_ids.values.gather(block[user]),
                "rank": place + 1,
                "item_id": prepared.item_ids.values.gather(rows[user, place]),
                "score": scores[user, place],
            }
            yield pl.DataFrame(columns, schema=RUN, strict=False)
            progress.advance(len(block))


def _same_catalogue(prepared: Prepared, trained: pl.Series) -> None:
    if not trained.equals(prepared.item_ids.values):
        raise InputError(
            f"towers trained on this catalogue of {len(prepared.item_ids)} items",
            f"towers of a catalogue of {len(trained)} items, not the same ones",
            "run `aisle train` on this prepared shop",
        )
