"""What a number was measured on. Two numbers under different protocols are not compared.

A protocol is a flat or nested JSON object. The caller says what only it knows (`dataset`, `split`,
`part`, `filter`, `masking`, whatever else was decided before the metrics); :func:`describe` adds what the
evaluation itself sees, and a fingerprint over all of it.
"""

import hashlib
from collections.abc import Mapping, Sequence

import orjson
import polars as pl
from pydantic import JsonValue

from aisle.data.errors import InputError
from aisle.eval.truth import Truth

Protocol = dict[str, JsonValue]

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
    catalogue_size: int | None,
    *,
    past: pl.DataFrame | None = None,
    sampled_negatives: int = 0,
) -> Protocol:
    """The whole protocol of an evaluation, with its `fingerprint`.

    Added to `given`: `AS_GIVEN` where it is silent, `k` (the cut-offs), `ties` (always "against": a
    relevant item comes after all others of equal score), `users`, `relevant` (pairs of user and item),
    `catalogue` (items, or null), `truth` (a checksum of who wanted what), `past` (one of how often each item
    was taken before, or null) and `sampling` (negatives of each sample, beside the exact values; null: none).
    """
    protocol: Protocol = {
        **AS_GIVEN,
        **given,
        "k": list(k),
        "ties": "against",
        "users": len(truth),
        "relevant": len(truth.frame),
        "catalogue": catalogue_size,
        "truth": truth_checksum(truth),
        "past": None if past is None else _past_checksum(past),
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


def _past_checksum(past: pl.DataFrame) -> str:
    items = past.select(pl.col("item_id").cast(pl.String)).drop_nulls()
    counts = items.group_by("item_id").len().sort("item_id").select(pl.format("{} {}", "item_id", "len"))
    return hashlib.sha256("\n".join(counts.to_series()).encode()).hexdigest()[:16]


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
