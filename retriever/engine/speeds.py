"""What is faster on this machine: measured once, and remembered."""

import json
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from aisle.durable import write_whole

LOG = logging.getLogger(__name__)

ROUNDS = 3
"""Measurements of each way, in turn; the shortest counts."""


def kept_at() -> Path:
    """File in which this machine's speeds are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "aisle" / "speeds.json"


def speeds(
    about: Mapping[str, object], ways: Sequence[str], made: Callable[[str], Callable[[], object]]
) -> dict[str, float]:
    """Seconds of each way, shortest of `ROUNDS`; remembered under what they depend on.

    Args:
        about: what the speeds depend on: processor, threads, versions, sizes.
        ways: names.
        made: of a name, a function that does the work once.
    """
    key = json.dumps({**about, "ways": list(ways)}, sort_keys=True)
    path = kept_at()
    known: dict[str, dict[str, float]] = {}
    with suppress(OSError, ValueError):
        read = json.loads(path.read_text())
        known = read if isinstance(read, dict) else {}
    if key in known and list(known[key]) == list(ways):
        return known[key]
    work = {name: made(name) for name in ways}
    found = dict.fromkeys(ways, float("inf"))
    for do in work.values():
        do()
    for _ in range(ROUNDS):
        for name, do in work.items():
            started = time.perf_counter()
            do()
            found[name] = min(found[name], time.perf_counter() - started)
    LOG.info(
        "measured on this machine: %s",
        ", ".join(f"{name} {1000 * one:.0f} ms" for name, one in found.items()),
    )
    with suppress(OSError):  # a home that cannot be written: measured again next time
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps({**known, key: found}, indent=1) + "\n")
    return found
