"""Texts that a language model is pre-trained on: a shop's catalogue, reviews and histories, or a table's."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from aisle.data.errors import InputError
from aisle.data.history import event_time
from aisle.data.prepared import Prepared
from aisle.data.settings import TextSettings
from aisle.retriever.texts import history_texts, item_texts

_WORD = re.compile(r"\w+")

LINES = (".jsonl", ".ndjson", ".json")
KINDS = (".csv", ".tsv", ".parquet", *LINES)
"""Tables that are read, by the end of their name; `.gz` may follow."""


def shop_texts(prepared: Prepared, settings: TextSettings) -> list[str]:
    """Distinct texts of a prepared shop: items, words of reviews and searches, and rendered histories.

    Of the events only those of the training part are read. The test part would be a leak; the validation part
    would make every choice on validation look better than it is. A history is cut by words here, since a
    tokenizer may not exist yet.
    """
    events = prepared.events("train").with_columns(time=event_time()).collect()
    events = events.sort("user_id", "time", maintain_order=True)
    items = item_texts(prepared, settings, "train")
    told = events["text"].drop_nulls().to_list() if "text" in events.columns else []
    counts = events.group_by("user_id", maintain_order=True).len()["len"].to_numpy()
    ends = np.cumsum(counts)
    spans = zip((ends - counts).tolist(), ends.tolist(), strict=True)
    known = dict(zip(prepared.item_ids.values, items, strict=True))
    histories = history_texts(events, spans, known, settings, lambda text: len(_WORD.findall(text)))
    return _distinct([*items, *told, *histories])


def table_texts(path: Path, column: str) -> list[str]:
    """Distinct texts of one column of a table: CSV, TSV (also gzipped), Parquet or JSON lines.

    Raises:
        InputError: there is no such file, column or text.
    """
    table = read_table(path)
    if column not in table.columns or table[column].dtype != pl.String:
        names = [name for name, dtype in table.schema.items() if dtype == pl.String]
        raise InputError("a column of texts", f"{column!r} in {path}", f"one of: --column {', '.join(names)}")
    return _distinct(table[column].drop_nulls().to_list())


def read_table(path: Path) -> pl.DataFrame:
    """A table: CSV or TSV (all columns text), Parquet or JSON lines; gzipped where the name ends in .gz.

    Raises:
        InputError: there is no such file, or it cannot be read.
    """
    if not path.is_file():
        raise InputError("a table", f"no such file: {path}", "check the path")
    kind = Path(path.name.removesuffix(".gz")).suffix
    if kind not in KINDS:
        raise InputError(f"a table: {', '.join(KINDS)}", f"{path}", "convert it, or name it by what it is")
    try:
        if kind == ".parquet":
            return pl.read_parquet(path)
        if kind in LINES:
            return pl.read_ndjson(path, infer_schema_length=None)
        return pl.read_csv(path, separator="\t" if kind == ".tsv" else ",", infer_schema=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        found = f"{path}: {(str(error).splitlines() or [''])[0]}"
        raise InputError("a table that can be read", found, "check the file") from error


def held_out(texts: Sequence[str], share: float, most: int, seed: int) -> tuple[list[str], list[str]]:
    """(training texts, held-out texts), both in random order; at least one is held out, at most `most` are.

    Raises:
        InputError: there are fewer than two texts.
    """
    if len(texts) < 2:
        raise InputError(
            "at least two different texts to pre-train on",
            f"{len(texts)}",
            "add a catalogue or reviews, or leave retriever.pretrain.enabled false",
        )
    order = np.random.default_rng(seed).permutation(len(texts))
    count = max(1, min(most, int(share * len(texts))))
    return [texts[row] for row in order[count:]], [texts[row] for row in order[:count]]


def _distinct(texts: Sequence[str]) -> list[str]:
    return [text for text in dict.fromkeys(text.strip() for text in texts) if text]
