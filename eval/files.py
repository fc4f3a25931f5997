"""Runs and truth as files: Parquet, and the plain text of TREC."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
from polars.exceptions import ComputeError, PolarsError

from aisle.data.errors import InputError
from aisle.eval.catalogue import Catalogue

TREC_ENDINGS = (".trec", ".run", ".qrels", ".txt")
"""File endings read as TREC text; anything else is taken for Parquet."""

AS_TREC = f", or give TREC text one of the endings {', '.join(TREC_ENDINGS)}"

RUN_FIELDS = ("user_id", "q0", "item_id", "rank", "score", "tag")
TRUTH_FIELDS = ("user_id", "iteration", "item_id", "relevance")


def read_run(path: Path) -> pl.DataFrame:
    """A run from Parquet (columns: :mod:`aisle.eval.runs`) or TREC text (`user Q0 item rank score tag`).

    The score decides the order, also in TREC text, whose ranks are not looked at (as in trec_eval).

    Raises:
        InputError: no such file, not of that format, or a line with another number of fields.
    """
    if _is_trec(path):
        return _read_trec(path, RUN_FIELDS, "score").select("user_id", "item_id", "score")
    return read_parquet(path, AS_TREC)


def read_truth(path: Path) -> pl.DataFrame:
    """Truth from Parquet (columns: :mod:`aisle.eval.runs`) or TREC qrels (`user iteration item relevance`).

    Raises:
        InputError: no such file, not of that format, or a line with another number of fields.
    """
    if _is_trec(path):
        return _read_trec(path, TRUTH_FIELDS, "relevance").select("user_id", "item_id", "relevance")
    return read_parquet(path, AS_TREC)


def read_catalogue(items: Path, vectors: Path | None = None) -> Catalogue:
    """What is known of the items, from Parquet.

    Args:
        items: item_id and, where known, the columns of :mod:`aisle.eval.catalogue`.
        vectors: item_id and vector, a list of numbers, as many for each item; an item without one is left out
            where vectors are compared.

    Raises:
        InputError: a file cannot be used, or vectors are of different lengths or hold what is not finite.
    """
    table = read_parquet(items)
    catalogue = Catalogue.of(table)
    if vectors is None:
        return catalogue
    given = read_parquet(vectors)
    for column in ("item_id", "vector"):
        if column not in given.columns:
            raise InputError(
                f"vectors with a column {column!r}",
                f"columns {', '.join(given.columns) or 'none'} in {vectors}",
                "give item_id and vector, a list of numbers",
            )
    dtype = given["vector"].dtype
    if not (isinstance(dtype, pl.List | pl.Array) and dtype.inner.is_numeric()):
        raise InputError("vectors as lists of numbers", f"{dtype} in {vectors}", "write lists of numbers")
    if given["item_id"].null_count() or given["item_id"].is_duplicated().any():
        found = f"{len(given) - given['item_id'].n_unique()} repeats, or ids that are null, in {vectors}"
        raise InputError("one vector an item", found, "keep one row of each item")
    lists = given["vector"].cast(pl.List(pl.Float32))
    lengths = lists.list.len().unique().drop_nulls()
    flat = lists.explode(empty_as_null=False)
    if len(lengths) != 1 or not lengths[0]:
        found = ", ".join(map(str, lengths.sort())) or "none"
        raise InputError(
            "vectors of one length", f"lengths {found} in {vectors}", "write one whole vector for each item"
        )
    if lists.null_count() or flat.null_count() or not flat.is_finite().all():
        raise InputError(
            "vectors of finite numbers",
            f"null or infinite numbers in {vectors}",
            "write one whole vector for each item",
        )
    rows = catalogue.rows(given["item_id"].cast(pl.String))
    assert rows is not None
    matrix = np.zeros((catalogue.size, int(lengths[0])), np.float32)
    matrix[rows[rows >= 0]] = flat.to_numpy().reshape(len(given), -1)[rows >= 0]
    return replace(catalogue, vectors=matrix)


def _is_trec(path: Path) -> bool:
    return path.suffix in TREC_ENDINGS


def _exists(path: Path) -> None:
    if not path.is_file():
        raise InputError("a file", f"no file {path}", "check the path")
    if not path.stat().st_size:
        raise InputError("a file with rows", f"{path} is empty", "write it again")


def read_parquet(path: Path, otherwise: str = "") -> pl.DataFrame:
    """A table from Parquet.

    Args:
        path: of the file.
        otherwise: what to do besides writing it as Parquet.

    Raises:
        InputError: no such file, an empty one, or not of that format.
    """
    _exists(path)
    try:
        return pl.read_parquet(path)
    except (PolarsError, OSError) as error:
        raise InputError(
            "a Parquet file",
            f"{path}: {str(error).splitlines()[0]}",
            f"write it as Parquet{otherwise}",
        ) from error


def _read_trec(path: Path, fields: tuple[str, ...], number: str) -> pl.DataFrame:
    _exists(path)
    try:
        lines = pl.read_csv(
            path,
            has_header=False,
            separator="\n",
            quote_char=None,
            new_columns=["line"],
            schema={"line": pl.String},
        )
    except (ComputeError, UnicodeDecodeError) as error:
        raise InputError(
            "TREC text in UTF-8", f"{path}: {str(error).splitlines()[0]}", "check the file"
        ) from error
    words = lines.with_row_index("at", 1).with_columns(
        pl.col("line").str.strip_chars().str.replace_all(r"\s+", " ").str.split(" ")
    )
    wrong = words.filter(pl.col("line").is_null() | (pl.col("line").list.len() != len(fields)))
    if len(wrong):
        raise InputError(
            f"lines of {len(fields)} fields: {' '.join(fields)}",
            f"{path}, line {wrong['at'][0]}: {' '.join(wrong['line'].to_list()[0] or [])!r}",
            "remove the line, or white space in its ids",
        )
    table = words.select(pl.col("line").list.get(at).alias(name) for at, name in enumerate(fields))
    numbers = table[number].cast(pl.Float64, strict=False)
    if numbers.null_count():
        at = numbers.is_null().arg_true()[0]
        raise InputError(
            f"a number as {number}", f"{path}, line {at + 1}: {table[number][at]!r}", "correct the line"
        )
    return table.with_columns(numbers.alias(number))
