"""Versions of a planted index, and bytes that have changed."""

from aisle.index.rebuild import rebuild
from aisle.index.rebuild_settings import GateSettings, RebuildSettings
from aisle.index.settings import IndexSettings
from aisle.index.versions import Versions

CPU = IndexSettings(device="cpu")


JOB = RebuildSettings()


GATE = GateSettings()


def built(place, *sources, job=JOB) -> tuple[Versions, list[str]]:
    versions = Versions(place)
    return versions, [rebuild(versions, source, CPU, job).version for source in sources]


def flipped(content: bytes, place: int) -> bytes:
    changed = bytearray(content)
    changed[place % len(changed)] ^= 1 << place % 8
    return bytes(changed)
