"""Disks that are full or cannot be written, and mutated files for every loader: a result or a clear error."""

import os
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from planted_index import circle

from aisle.index import pointer
from aisle.index.cache import VectorCache, key_of
from aisle.index.columns import read_vectors
from aisle.index.description import NAME, Description, entries
from aisle.index.errors import IndexFault
from aisle.index.pointer import Pointer
from aisle.index.rebuild import rebuild
from aisle.index.rebuild_settings import GateSettings, RebuildSettings
from aisle.index.settings import IndexSettings
from aisle.index.versions import Versions

CPU = IndexSettings(device="cpu")
JOB = RebuildSettings(gate=GateSettings(min_overlap=0, max_count_drift=1e9))


def test_a_full_disk(small_disk: Path) -> None:
    place = small_disk / "index"
    versions = Versions(place)
    first = rebuild(versions, circle(50), CPU, JOB).version
    ballast = small_disk / "ballast"
    for room in (0, 4, 20, 60, 200):  # KiB: enough for some of the steps
        free = shutil.disk_usage(small_disk).free
        ballast.write_bytes(b"x" * max(0, free - room * 1024))
        with pytest.raises((OSError, IndexFault)):
            rebuild(versions, circle(5000), CPU, JOB)
        assert versions.open(CPU).version == first
        assert [one.damage for one in versions.listing(check="all")] == [None]
        ballast.unlink()
    done = rebuild(versions, circle(60), CPU, JOB)
    assert versions.open(CPU).version == done.version


def test_a_folder_that_can_only_be_read(tmp_path: Path) -> None:
    place = tmp_path / "index"
    name = rebuild(Versions(place), circle(20), CPU, JOB).version
    if os.getuid() == 0:  # whom rights do not stop
        bound = subprocess.run(["mount", "--bind", "-o", "ro", str(place), str(place)], capture_output=True)
        if bound.returncode:
            pytest.skip("a read-only folder cannot be mounted here")
        subprocess.run(["mount", "-o", "remount,bind,ro", str(place)], check=True)
    else:
        place.chmod(0o555)
    try:
        versions = Versions(place)
        assert versions.open(CPU).version == name
        with pytest.raises(IndexFault, match="can be written"):
            rebuild(versions, circle(20, changed=2), CPU, JOB)
    finally:
        if os.getuid() == 0:
            subprocess.run(["umount", "-l", str(place)], check=True)
        else:
            place.chmod(0o755)


class Mutator:
    """Changes bytes the way disks, editors and bugs do."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)

    def __call__(self, content: bytes) -> bytes:
        changed = bytearray(content)
        for _ in range(self.chance.choice((1, 1, 1, 2, 5))):
            changed = self._once(changed)
        return bytes(changed)

    def _once(self, content: bytearray) -> bytearray:
        chance = self.chance
        place = chance.randrange(len(content) + 1)
        length = chance.choice((1, 2, 4, 8, 64, 1024))
        how = chance.randrange(7)
        if how == 0 and content:
            content[place % len(content)] ^= 1 << chance.randrange(8)
        elif how == 1:
            del content[place:]
        elif how == 2:
            del content[place : place + length]
        elif how == 3:
            content[place:place] = chance.randbytes(length)
        elif how == 4:
            content[place : place + length] = b"\xff" * length
        elif how == 5:
            content[place:place] = content[place : place + length]
        else:
            content[place : place + 1] = chance.choice((b"9", b"-", b'"', b"[", b"}", b"\x00", b"1e999"))
        return content


FILES = ("index.faiss", "kind.json", "ids.arrow", "vectors.safetensors", NAME, pointer.NAME)
DIRECT = ("description", "pointer", "vectors", "resealed header", "resealed kind", "cache")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("sound") / "index"
    rebuild(Versions(place), circle(20), CPU, JOB)
    return place


def search(place: Path) -> None:
    """Open and use the live version."""
    opened = Versions(place).open(CPU)
    _, rows = opened.stored.index.search(np.array([[1, 0]], np.float32), 3)
    opened.stored.ids.of(rows[0])
    opened.close()


def resealed(folder: Path) -> None:
    """A description whose checksums are those of the files as they are."""
    Description.read(folder).model_copy(update={"files": dict(entries(folder))}).write(folder)


def loader_of(what: str, place: Path) -> tuple[Path, Callable[[], object]]:
    """A file to spoil, and what then reads it."""
    version = place / Versions(place).names()[0]
    if what in FILES:
        return (place if what == pointer.NAME else version) / what, lambda: search(place)
    if what == "cache":
        (path,) = place.glob("cache/*/*.arrow")
        return path, lambda: VectorCache(path.parent).get([key_of("0.000000")])
    if what == "vectors":
        path = version / "vectors.safetensors"
        return path, lambda: np.array(read_vectors(path))
    if what == "description":
        return version / NAME, lambda: Description.parse((version / NAME).read_bytes(), "here")
    if what == "pointer":
        return place / pointer.NAME, lambda: Pointer.parse((place / pointer.NAME).read_bytes(), "here")

    def read() -> None:
        resealed(version)
        search(place)

    return version / ("index.faiss" if what == "resealed header" else "kind.json"), read


def spoil(what: str, place: Path, number: int, seed: int) -> int:
    """How many of so many mutations of a file were refused; the others gave a result."""
    mutate = Mutator(seed)
    path, load = loader_of(what, place)
    description = place / Versions(place).names()[0] / NAME
    whole, said = path.read_bytes(), description.read_bytes()
    refused = 0
    for _ in range(number):
        if what == "resealed header":  # what FAISS reads first; the rest is behind the checksum
            content = mutate(whole[:16])[:16].ljust(16, b"\0") + whole[16:]
        else:
            content = mutate(whole)
        path.write_bytes(content)
        try:
            load()
        except IndexFault:
            refused += 1
        path.write_bytes(whole)
        if path != description:
            description.write_bytes(said)
    return refused


@pytest.mark.parametrize("what", [*FILES, *DIRECT])
@pytest.mark.parametrize("number", [60, pytest.param(900, marks=pytest.mark.torture)])
def test_mutated_files_give_a_result_or_a_clear_error(
    sound: Path, tmp_path: Path, what: str, number: int
) -> None:
    place = tmp_path / "index"
    shutil.copytree(sound, place)
    refused = spoil(what, place, number, seed=number)
    if what != "cache":  # whose texts are encoded again
        assert refused > number / 2
    search(place)
