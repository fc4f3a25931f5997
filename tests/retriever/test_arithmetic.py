"""Memory that was freed goes back to the system when it is told to."""

import sys
from pathlib import Path

import pytest

from aisle.retriever.arithmetic import _glibc, return_freed_memory


@pytest.mark.skipif(sys.platform != "linux" or _glibc() is None, reason="asks glibc, which is not here")
def test_gaps_between_what_is_kept_go_back_to_the_system() -> None:
    blocks = [bytearray(8000) for _ in range(20_000)]
    kept = blocks[::50]
    full = resident()
    del blocks
    return_freed_memory()
    assert resident() < full - 120, "of 153 MiB"
    assert all(len(block) == 8000 for block in kept)


def resident() -> float:
    """MiB of this process that are its own."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (own,) = (line.split()[1] for line in lines if line.startswith("RssAnon"))
    return int(own) / 1024
