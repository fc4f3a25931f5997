"""What a number was measured on. Two numbers under different protocols are not compared.

A protocol is a flat or nested JSON object. The caller says what only it knows (`dataset`, `split`,
`part`, `filter`, `masking`, whatever else was decided before the metrics); :func:`describe` adds what the
evaluation itself sees, and a fingerprint over all of it.
"""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import orjson
import polars as pl
from pydantic import JsonValue

from aisle.data.errors import InputError
from aisle.eval.catalogue import COLUMNS, Catalogue
from aisle.eval.truth import Truth

Protocol = dict[str, JsonValue]

ROWS_AT_ONCE = 1 << 20
"""Rows that are text at a time while a checksum is made."""

AS_GIVEN: Protocol = {
    "dataset": None,
    "split": "as given",
    "filter": "as given",
    "masking": "as given",
    "candidates": "all items",
}
"""What a protocol says where the caller did not."""


def describe(
    given: Mapping[str, JsonValue],
    truth: Truth,
    k: Sequence[int],
    catalogue: Catalogue | None,
    *,
    past: pl.DataFrame | None = None,
    sampled_negatives: int = 0,
) -> Protocol:
    """The whole protocol of an evaluation, with its `fingerprint`.

    Added to `given`: `AS_GIVEN` where it is silent, `k` (the cut-offs), `ties` (always "against": a
    relevant item comes after all others of equal score), `users`, `relevant` (pairs of user and item),
    `catalogue` (items, or null), `items` (a checksum of the catalogue: ids and what is known of them, vectors
    too, or null), `truth` (one of who wanted what), `past` (one of what was known before, or null) and
    `sampling` (negatives of each sample, beside the exact values; null: none).
    """
    protocol: Protocol = {
        **AS_GIVEN,
        **given,
        "k": list(k),
        "ties": "against",
        "users": len(truth),
        "relevant": len(truth.frame),
        "catalogue": catalogue.size if catalogue else None,
        "items": catalogue_checksum(catalogue) if catalogue else None,
        "truth": truth_checksum(truth),
        "past": None if past is None else past_checksum(past),
        "sampling": {"negatives": sampled_negatives} if sampled_negatives else None,
    }
    return {**protocol, "fingerprint": fingerprint(protocol)}


def fingerprint(protocol: Mapping[str, JsonValue]) -> str:
    """Sixteen hexadecimal digits of the SHA-256 of a protocol, whatever the order of its keys."""
    rest = {key: value for key, value in protocol.items() if key != "fingerprint"}
    return hashlib.sha256(orjson.dumps(rest, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


def differences(one: Mapping[str, JsonValue], other: Mapping[str, JsonValue]) -> list[str]:
    """What two protocols disagree about: `key: this in the first, that in the second`; nested keys dotted."""
    first, second = _flat(one), _flat(other)
    keys = [key for key in dict.fromkeys([*first, *second]) if key != "fingerprint"]
    return [
        f"{key}: {_shown(first, key)} in the first, {_shown(second, key)} in the second"
        for key in keys
        if first.get(key) != second.get(key) or (key in first) != (key in second)
    ]


def require_same(one: Mapping[str, JsonValue], other: Mapping[str, JsonValue]) -> None:
    """Refuse to go on with numbers of two protocols.

    Raises:
        InputError: the protocols differ; names every difference.
    """
    differing = differences(one, other)
    if differing:
        raise InputError(
            "two results under the same protocol",
            "; ".join(differing),
            "evaluate both on the same data, split, filter, cut-offs and masking",
        )


def truth_checksum(truth: Truth) -> str:
    """Sixteen hexadecimal digits of who wanted what."""
    users = pl.DataFrame({"user": range(len(truth)), "user_id": truth.users.values})
    wanted = truth.frame.join(users.cast({"user": pl.Int64}), on="user").sort("user_id", "item_id")
    digest = hashlib.sha256("\n".join(truth.users.values).encode())
    for column in ("user_id", "item_id", "gain"):
        digest.update(("\0" + "\n".join(wanted[column].cast(pl.String))).encode())
    return digest.hexdigest()[:16]


def catalogue_checksum(catalogue: Catalogue) -> str | None:
    """Sixteen hexadecimal digits of the items, in any order; null where only their number is known."""
    if catalogue.items is None:
        return None
    known = ["item_id", *(name for name in COLUMNS if name in catalogue.items.columns)]
    order = catalogue.items["item_id"].arg_sort()
    table = catalogue.items.select(known)[order]
    if "categories" in known:
        table = table.with_columns(pl.col("categories").list.join("\1", ignore_nulls=True))
    digest = _of_rows(table)
    if catalogue.vectors is not None:
        digest.update(np.ascontiguousarray(catalogue.vectors[order.to_numpy()]).tobytes())
    return digest.hexdigest()[:16]


def past_checksum(past: pl.DataFrame) -> str:
    """Sixteen hexadecimal digits of the events, in any order: who took what, when, and how many stars."""
    known = [name for name in ("user_id", "item_id", "timestamp", "rating") if name in past.columns]
    table = past.select(known)
    return _of_rows(table.sort(known)).hexdigest()[:16]


def _of_rows(table: pl.DataFrame) -> "hashlib._Hash":
    """A digest of a table's rows as text, in their order."""
    digest = hashlib.sha256("\t".join(table.columns).encode())
    columns = [
        (pl.col(name).dt.timestamp("us") if isinstance(dtype, pl.Datetime) else pl.col(name)).cast(pl.String)
        for name, dtype in table.schema.items()
    ]
    line = pl.concat_str([column.fill_null("\0") for column in columns], separator="\t")
    for part in table.iter_slices(ROWS_AT_ONCE):
        digest.update("\n".join(["", *part.select(line=line)["line"]]).encode())
    return digest


def _flat(protocol: Mapping[str, JsonValue], prefix: str = "") -> Protocol:
    flat: Protocol = {}
    for key, value in protocol.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _shown(protocol: Protocol, key: str) -> str:
    return orjson.dumps(protocol[key]).decode() if key in protocol else "not said"
