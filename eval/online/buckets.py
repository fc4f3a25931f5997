"""Users to buckets and arms, by hashing: the same answer everywhere, with nothing to store.

A user's number under a salt is made of the first 12 hexadecimal digits of `SHA-256(salt + "/" + user_id)` in
UTF-8, 48 bits. Any language or data base computes it:

    -- PostgreSQL: bucket of the user u1 in the layer "ranking"
    SELECT ('x' || substr(encode(sha256('layer/ranking/u1'), 'hex'), 1, 12))::bit(48)::bigint * 10000 >> 48

Users of a layer fall into 10,000 buckets; a test owns a range of them, and tests that share a layer share no
user. Layers and tests have salts of their own (`layer/<name>`, `test/<name>`), so that tests in different
layers are independent of each other, and arms independent of buckets.
Source: Tang, Agarwal, O'Brien and Meyer 2010, "Overlapping Experiment Infrastructure", sections 3 and 4.
"""

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

BUCKETS = 10_000
BITS = 48


def hashed(users: Iterable[str], salt: str) -> NDArray[np.int64]:
    """Numbers of users under a salt, int64 from 0 to 2^48 - 1 (n_users,): see the module."""
    start = hashlib.sha256(f"{salt}/".encode())
    digests = bytearray()
    for user in users:
        one = start.copy()
        one.update(user.encode())
        digests += b"\0\0" + one.digest()[: BITS // 8]
    return np.frombuffer(bytes(digests), ">i8").astype(np.int64)


def buckets(users: Iterable[str], layer: str) -> NDArray[np.int64]:
    """Buckets of users in a layer, int64 from 0 to 9,999 (n_users,).

    >>> buckets(["u1", "u2"], "ranking").tolist()
    [4414, 3693]
    """
    return (hashed(users, f"layer/{layer}") * BUCKETS) >> BITS


def arms(users: Iterable[str], test: str, shares: Sequence[float]) -> NDArray[np.int64]:
    """Arms of users in a test, int64 from 0 (n_users,), in the proportions of `shares`."""
    ends = np.cumsum(np.asarray(shares, np.float64) / sum(shares))
    places = hashed(users, f"test/{test}") / 2.0**BITS
    return np.minimum(np.searchsorted(ends, places, side="right"), len(ends) - 1).astype(np.int64)
