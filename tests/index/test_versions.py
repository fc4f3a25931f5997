"""Versions side by side: published by one rename, read whole, rolled back, collected."""

import gc
import json
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from planted_index import Counting, circle

from aisle.index import pointer
from aisle.index.description import FORMAT, NAME, Description
from aisle.index.errors import IndexFault
from aisle.index.publishing import GateFault, collect, publish, rollback
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


@pytest.fixture(params=["a folder", "a URL"])
def place(request, tmp_path, monkeypatch):
    """Where versions are kept: on the disk, or where only fsspec reaches."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    if request.param == "a folder":
        return tmp_path / "index"
    import fsspec

    fsspec.filesystem("memory").store.clear()
    return f"memory://index-of-{tmp_path.name}"


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


@pytest.mark.parametrize("check", ["all", "sizes"])
def test_a_damaged_copy_of_what_is_sound_is_fetched_again(tmp_path, check):
    place = f"memory://copies-{tmp_path.name}"
    versions = Versions(place, tmp_path / "reader")
    name = rebuild(versions, circle(20), CPU, JOB).version
    versions.open(CPU).close()
    copy = tmp_path / "reader" / "fetched" / name / "ids.arrow"
    whole = copy.read_bytes()
    copy.write_bytes(flipped(whole, 99) if check == "all" else whole[:-1])
    assert versions.open(CPU, check=check).stored.ids.of(np.array([19])) == ["i0019"]
    assert copy.read_bytes() == whole
    versions.storage.files.pipe_file(f"{versions.storage.root}/{name}/ids.arrow", flipped(whole, 99)[:-1])
    copy.write_bytes(b"")
    with pytest.raises(IndexFault, match=r"ids\.arrow has"):
        versions.open(CPU, check=check)


def test_a_reader_that_is_forgotten_keeps_nothing(tmp_path):
    versions, (first,) = built(tmp_path, circle(20))
    reader = versions.open(CPU)
    built(tmp_path, circle(20, changed=3))
    del reader
    gc.collect()
    with versions.writing():
        assert collect(versions, 1) == [first]


def test_the_last_n_stay_and_the_live_one_always(place):
    versions, names = built(place, *(circle(20, changed=n) for n in range(5)), job=RebuildSettings(keep=3))
    assert versions.names() == names[-3:]
    with versions.writing():
        rollback(versions, names[2])
        assert collect(versions, 1) == names[3:]
    assert versions.names() == [names[2]]


def test_rollback_goes_back_one_version_at_a_time(place):
    versions, names = built(place, *(circle(20, changed=n) for n in range(3)))
    with versions.writing():
        assert rollback(versions).version == names[1]
        assert rollback(versions).version == names[0]
        with pytest.raises(IndexFault, match="is the oldest"):
            rollback(versions)
    found = versions.pointer()
    assert [one.how for one in found.publications] == ["publish"] * 3 + ["rollback"] * 2
    assert [one.version for one in found.publications] == [*names, names[1], names[0]]
    assert all("@" in one.by for one in found.publications)


def test_no_way_around_the_gate_by_a_rollback(place):
    versions, (first,) = built(place, circle(20))
    with pytest.raises(GateFault) as fault:
        rebuild(versions, circle(10), CPU, JOB)
    with versions.writing(), pytest.raises(IndexFault, match=f"{fault.value.version} never was"):
        rollback(versions, fault.value.version)
    assert versions.pointer().version == first


def test_a_live_version_that_is_gone_is_not_passed_over_in_silence(place):
    versions, (first, second) = built(place, circle(20), circle(20, changed=1))
    if isinstance(place, Path):
        (place / second / NAME).unlink()
    else:
        versions.storage.files.rm_file(f"{versions.storage.root}/{second}/{NAME}")
    assert [(one.version, one.live, one.damage) for one in versions.listing(check="all")] == [
        (first, False, None),
        (second, True, f"{NAME} is missing"),
    ]
    with versions.writing():
        assert collect(versions, 2) == []
    assert second in versions.storage.folders()  # its vectors may be all that is left


def test_folders_that_somebody_else_made_stay(tmp_path):
    versions, (name,) = built(tmp_path, circle(20))
    mine = ("20260301T-mine", "20260301Tbackup", f"delta-{name}-old", "delta-mine")
    for other in mine:
        (tmp_path / other).mkdir()
        (tmp_path / other / "notes").write_text("mine")
    rebuild(versions, circle(20, changed=1), CPU, JOB)
    assert all((tmp_path / other / "notes").is_file() for other in mine)


def test_another_models_queries_are_refused(place):
    versions, _ = built(place, circle(20))
    with pytest.raises(IndexFault, match="vectors of model other"):
        versions.open(CPU, model="other")


def test_the_gate_keeps_the_live_version(place):
    versions, (first,) = built(place, circle(20))
    with pytest.raises(GateFault, match=r"count drift 0\.5, at most 0\.2: FAILED") as fault:
        rebuild(versions, circle(10), CPU, JOB)
    assert versions.pointer().version == first
    failed = fault.value.version
    assert failed in versions.names()  # to be looked at
    with versions.writing():
        publish(versions, failed, CPU, GATE, force=True, why="half the shop is closed")
    last = versions.pointer().publications[-1]
    assert (last.version, last.why) == (failed, "half the shop is closed")
    assert "count drift" in last.overridden
    assert {one.check: one.passed for one in last.checks}["count drift"] is False


def test_what_fails_the_gate_every_night_does_not_fill_the_disk(place):
    versions, (first,) = built(place, circle(20))
    for items in (10, 9, 8):
        with pytest.raises(GateFault):
            rebuild(versions, circle(items), CPU, JOB)
    assert len(versions.names()) == 2
    assert versions.names()[0] == first


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


def test_verify_names_what_is_damaged(place):
    versions, names = built(place, circle(20), circle(20, changed=1))
    assert [one.damage for one in versions.listing(check="all")] == [None, None]
    if isinstance(place, Path):
        path = place / names[0] / "ids.arrow"
        path.write_bytes(flipped(path.read_bytes(), 99))
    else:
        files = versions.storage.files
        path = f"{versions.storage.root}/{names[0]}/ids.arrow"
        files.pipe_file(path, flipped(files.cat_file(path), 99))
    first, second = versions.listing(check="all")
    assert first.damage == "ids.arrow has changed"
    assert second.damage is None


def flipped(content: bytes, place: int) -> bytes:
    changed = bytearray(content)
    changed[place % len(changed)] ^= 1 << place % 8
    return bytes(changed)


FILES = ["index.faiss", "kind.json", "ids.arrow", "vectors.safetensors", NAME]


@pytest.mark.parametrize("file", FILES)
def test_every_flipped_bit_and_every_cut_is_noticed(tmp_path, file):
    versions, (name,) = built(tmp_path, circle(20))
    path = tmp_path / name / file
    whole = path.read_bytes()
    spoilt = [flipped(whole, place) for place in np.random.default_rng(0).choice(len(whole), 60)]
    for content in [*spoilt, *(whole[:length] for length in (0, 1, len(whole) // 2, len(whole) - 1))]:
        path.write_bytes(content)
        with pytest.raises(IndexFault):
            versions.open(CPU)
        (listed,) = versions.listing(check="all")
        assert listed.damage is not None
    path.unlink()
    with pytest.raises(IndexFault):
        versions.open(CPU)


def test_a_damaged_live_version_is_replaced_by_the_next_rebuild(tmp_path):
    versions, (name,) = built(tmp_path, circle(20))
    path = tmp_path / name / "index.faiss"
    path.write_bytes(flipped(path.read_bytes(), 70))
    done = rebuild(versions, circle(20), CPU, JOB)
    assert (done.status, done.encoded) == ("published", 0)
    assert versions.open(CPU).version == done.version != name


def test_a_damaged_live_version_does_not_open_the_gate(tmp_path):
    """The version before it is there to compare with."""
    versions, (_, name) = built(tmp_path, circle(20), circle(20, changed=1))
    (tmp_path / name / "index.faiss").write_bytes(b"")
    with pytest.raises(GateFault, match=r"count drift 0\.5, at most 0\.2: FAILED"):
        rebuild(versions, circle(10), CPU, JOB)


def test_a_damaged_pointer_is_told_and_nothing_is_removed(tmp_path):
    versions, names = built(tmp_path, circle(20), circle(20, changed=1))
    path = tmp_path / pointer.NAME
    path.write_bytes(flipped(path.read_bytes(), 500))
    with pytest.raises(IndexFault, match="publish a version again"):
        versions.open(CPU)
    with versions.writing(), pytest.raises(IndexFault, match=pointer.NAME):
        collect(versions, 1)
    assert versions.names() == names
    path.unlink()
    with versions.writing():
        publish(versions, names[1], CPU, GATE)
    assert versions.open(CPU).version == names[1]


def test_a_newer_format_is_refused(tmp_path):
    versions, (name,) = built(tmp_path, circle(20))
    path = tmp_path / name / NAME
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": FORMAT + 1, "more": 1}))
    with pytest.raises(IndexFault, match=f"format {FORMAT + 1}"):
        versions.open(CPU)


@pytest.mark.parametrize(
    ("change", "words"),
    [({"dim": 3}, "of 3 numbers"), ({"items": 19}, "19 vectors"), ({"items": 2**62}, "vectors of 2")],
)
def test_a_description_that_does_not_fit_its_files(tmp_path, change, words):
    versions, (name,) = built(tmp_path, circle(20))
    description = Description.read(tmp_path / name)
    description.model_copy(update=change).write(tmp_path / name)
    with pytest.raises(IndexFault, match=words):
        versions.open(CPU)


@pytest.mark.parametrize("ids", [["a", "b", "b"], ["a", None, "c"]])
def test_ids_that_repeat_or_are_missing(tmp_path, ids):
    source = circle(3)
    wrong = type(source)(pl.Series(ids), source.texts, source.encode, "e", "m")
    with pytest.raises(IndexFault, match="all different"):
        rebuild(Versions(tmp_path), wrong, CPU, JOB)


def test_vectors_that_cannot_be_used(tmp_path):
    source = circle(3)
    spoilt = type(source)(
        source.ids, source.texts, lambda texts, what: np.full((len(texts), 2), np.nan, np.float32), "e", "m"
    )
    with pytest.raises(IndexFault, match="NaN or infinity"):
        rebuild(Versions(tmp_path), spoilt, CPU, JOB)
    assert Versions(tmp_path).names() == []
    sound = type(source)(source.ids, source.texts, source.encode, "e", "m")
    assert rebuild(Versions(tmp_path), sound, CPU, JOB).encoded == 3  # nothing of it was kept


def test_vectors_of_the_wrong_dimension_or_number(tmp_path):
    versions, _ = built(tmp_path, circle(20))
    for wrong in (
        lambda texts, what: np.ones((len(texts), 3), np.float32),
        lambda texts, what: np.ones((1, 2), np.float32),
    ):
        with pytest.raises(IndexFault, match=r"vectors of shape \(3, 2\)"):
            rebuild(versions, circle(20, changed=3, encode=wrong), CPU, JOB)
    assert versions.open(CPU).stored.index.dim == 2


def test_a_place_that_cannot_be_written():
    with pytest.raises(IndexFault, match="can be written"), Versions("/proc/index").writing():
        pass


def test_an_unchanged_catalogue_costs_nothing(place):
    encode = Counting()
    versions, (name,) = built(place, circle(20, encode=encode))
    done = rebuild(versions, circle(20, encode=encode), CPU, JOB)
    assert (done.version, done.status) == (name, "unchanged")
    assert len(encode.asked) == 20


def test_only_what_changed_is_encoded(place):
    versions, _ = built(place, circle(20))
    encode = Counting()
    done = rebuild(versions, circle(20, changed=3, encode=encode), CPU, JOB)
    assert (done.status, done.encoded) == ("published", 3)
    assert encode.asked == list(circle(20, changed=3).texts[:3])
    np.testing.assert_array_equal(
        versions.open(CPU).stored.vectors, circle(20, changed=3).encode(circle(20, changed=3).texts)
    )


def test_another_encoder_encodes_everything_and_fails_the_gate_only_where_it_differs(tmp_path):
    versions, _ = built(tmp_path, circle(20))
    done = rebuild(versions, circle(20, model="other"), CPU, JOB)
    assert (done.encoded, done.status) == (20, "published")
    assert versions.open(CPU, model="other").version == done.version


def test_vectors_of_encoders_that_are_gone_go(tmp_path):
    versions = Versions(tmp_path)
    for night in range(4):  # a new model every night
        rebuild(versions, circle(20, model=f"of night {night}"), CPU, RebuildSettings(keep=2))
    assert len(list((tmp_path / "cache").iterdir())) == 2
    assert rebuild(versions, circle(20, changed=1, model="of night 2"), CPU, JOB).encoded == 1


def test_encoders_whose_fingerprints_begin_alike(tmp_path):
    versions, _ = built(tmp_path, circle(20))
    alike = circle(20, model="angles, turned", encode=lambda texts, what: -circle(20).encode(texts))
    assert rebuild(versions, alike, CPU, JOB).encoded == 20
    np.testing.assert_array_equal(versions.open(CPU).stored.vectors, alike.encode(alike.texts, ""))


def test_small_blocks_and_a_catalogue_that_shrinks_and_grows(tmp_path):
    versions = Versions(tmp_path)
    encode = Counting()
    job = RebuildSettings(block=3, gate=GateSettings(max_count_drift=10, min_overlap=0))
    for items in (20, 16, 20, 16):
        rebuild(versions, circle(items, encode=encode), CPU, job)
    assert len(encode.asked) == len(set(encode.asked))
    rebuild(versions, circle(20), CPU, job)
    np.testing.assert_array_equal(versions.open(CPU).stored.vectors, circle(20).encode(circle(20).texts))


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
