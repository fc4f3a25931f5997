"""The untouched language model as a recommender."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aisle.data.ids import Rows
from aisle.data.prepared import BEFORE, Part, Prepared
from aisle.data.progress import meter
from aisle.data.settings import TextSettings
from aisle.index.exact import ExactIndex
from aisle.index.settings import IndexSettings
from aisle.retriever.arithmetic import device
from aisle.retriever.candidates import run_of
from aisle.retriever.encoder import Encoder
from aisle.retriever.model import text_vectors
from aisle.retriever.settings import EncoderSettings
from aisle.retriever.texts import digest, item_texts, mean_of_history
from aisle.retriever.users import AT_ONCE


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
    vectors = text_vectors(model, digest(encoder, texts))
    if vectors is None:
        vectors = encoder.encode(texts, "encoding items")
    histories = prepared.histories(*past)
    means = mean_of_history(vectors, histories.offsets, histories.items)
    index = ExactIndex(vectors, IndexSettings())
    run = pl.concat(_ranked(prepared, index, means, past, k))
    known = prepared.user_ids.values.filter(pl.Series(histories.lengths > 0))
    return run.filter(pl.col("user_id").is_in(known.implode()))


def _ranked(
    prepared: Prepared, index: ExactIndex, queries: NDArray[np.float32], past: tuple[Part, ...], k: int
) -> Iterator[pl.DataFrame]:
    """The run of all users, a block of them at a time."""
    histories = prepared.histories(*past, kinds=prepared.seen_kinds)
    users = np.arange(len(prepared.user_ids))
    with meter("searching", len(users)) as progress:
        for start in range(0, len(users), AT_ONCE):
            block: Rows = users[start : start + AT_ONCE]
            yield run_of(prepared, block, *index.search(queries[block], k, histories.seen(block)))
            progress.advance(len(block))
