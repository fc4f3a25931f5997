"""Versions side by side: published by one rename, read whole while others are published."""

import gc
import subprocess
import sys
import threading

import numpy as np
import pytest
from planted_index import circle
from planted_versions import CPU, JOB, built

from aisle.index.errors import IndexFault
from aisle.index.publishing import collect
from aisle.index.rebuild import rebuild
from aisle.index.rebuild_settings import RebuildSettings
from aisle.index.versions import Versions


def test_what_is_published_is_served(place):
    versions, (name,) = built(place, circle(20))
    opened = versions.open(CPU, model="angles")
    assert opened.version == name
    assert (len(opened.stored.index), opened.stored.index.dim) == (20, 2)
    _, rows = opened.stored.index.search(np.array([[1, 0]], np.float32), 1)
    assert opened.stored.ids.of(rows[0]) == ["i0000"]
    assert opened.stored.description.items == 20
    assert opened.stored.vectors.shape == (20, 2)


def test_readers_keep_their_version_while_others_are_published(place):
    versions, (first,) = built(place, circle(20))
    reader = Versions(place).open(CPU)
    before = reader.stored.index.vectors
    built(
        place,
        circle(20, changed=3),
        circle(20, changed=5),
        circle(20, changed=7),
        job=RebuildSettings(keep=1),
    )
    assert first in versions.names()  # it is being read
    np.testing.assert_array_equal(reader.stored.index.vectors, before)
    assert reader.stored.ids.of(np.array([19])) == ["i0019"]
    reader.close()
    with versions.writing():
        assert collect(versions, 1) == [first]
    np.testing.assert_array_equal(reader.stored.vectors, before)  # what is mapped stays


def test_a_look_at_every_byte_takes_nothing_from_readers(place):
    versions, _ = built(place, circle(20))
    reader = versions.open(CPU)
    built(place, circle(20, changed=3), job=RebuildSettings(keep=1))
    assert [one.damage for one in versions.listing(check="all")] == [None, None]
    with versions.writing():
        assert collect(versions, 1) == []  # the first is still being read
    reader.close()


def test_vectors_are_those_that_came_even_when_their_file_is_gone(tmp_path):
    versions = Versions(tmp_path)
    rounding = CPU.model_copy(update={"storage": "int8"})
    name = rebuild(versions, circle(20), rounding, JOB).version
    opened = versions.open()
    (tmp_path / name / "vectors.safetensors").unlink()
    np.testing.assert_array_equal(opened.stored.vectors, circle(20).encode(circle(20).texts))
    assert not np.array_equal(opened.stored.index.vectors, opened.stored.vectors)


def test_a_reader_that_is_forgotten_keeps_nothing(tmp_path):
    versions, (first,) = built(tmp_path, circle(20))
    reader = versions.open(CPU)
    built(tmp_path, circle(20, changed=3))
    del reader
    gc.collect()
    with versions.writing():
        assert collect(versions, 1) == [first]


def test_another_models_queries_are_refused(place):
    versions, _ = built(place, circle(20))
    with pytest.raises(IndexFault, match="vectors of model other"):
        versions.open(CPU, model="other")


def test_two_writers_at_once(tmp_path):
    versions, _ = built(tmp_path, circle(20))
    with versions.writing(), pytest.raises(IndexFault, match="another process"):
        rebuild(Versions(tmp_path), circle(20, changed=1), CPU, JOB)
    rebuild(versions, circle(20, changed=1), CPU, JOB)


def test_a_dead_writer_does_not_keep_the_lock(tmp_path):
    program = (
        "import os, sys; from aisle.index.versions import Versions\n"
        "with Versions(sys.argv[1]).writing(): print('in', flush=True); os.kill(os.getpid(), 9)"
    )
    died = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True)
    assert died.stdout.strip() == "in"
    built(tmp_path, circle(20))


def test_readers_follow_the_pointer_while_a_writer_publishes_and_collects(tmp_path):
    versions, _ = built(tmp_path, circle(20))
    stop = threading.Event()
    faults, opened = [], []

    def read():
        while not stop.is_set():
            try:
                found = Versions(tmp_path).open(CPU)
                assert len(found.stored.ids) == len(found.stored.index) == 20
                opened.append(found.version)
                found.close()
            except Exception as error:
                faults.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for changed in range(1, 15):
        rebuild(versions, circle(20, changed=changed), CPU, RebuildSettings(keep=1))
    stop.set()
    reader.join()
    assert faults == []
    assert len(set(opened)) > 2


def test_what_was_fetched_of_versions_that_are_gone_is_forgotten(tmp_path):
    place = f"memory://fetched-{tmp_path.name}"
    writer, reader = Versions(place, tmp_path / "writer"), Versions(place, tmp_path / "reader")
    first = rebuild(writer, circle(20), CPU, JOB).version
    held = reader.open(CPU)
    second = rebuild(writer, circle(20, changed=1), CPU, RebuildSettings(keep=1)).version
    reader.open(CPU).close()
    fetched = tmp_path / "reader" / "fetched"
    assert {path.name for path in fetched.iterdir()} == {first, second}  # the first is open
    held.close()
    third = rebuild(writer, circle(20, changed=2), CPU, RebuildSettings(keep=1)).version
    reader.open(CPU).close()
    assert {path.name for path in fetched.iterdir()} == {third}
