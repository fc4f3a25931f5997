"""Every change to a stored version is noticed before it is used."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from planted_index import circle
from planted_versions import CPU, GATE, JOB, built, flipped

from aisle.index import pointer
from aisle.index.description import FORMAT, NAME, Description
from aisle.index.errors import IndexFault
from aisle.index.publishing import collect, publish
from aisle.index.rebuild import rebuild
from aisle.index.versions import Versions


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


FILES = [
    "index.faiss",
    "kind.json",
    "ids.arrow",
    "vectors.safetensors",
    "texts.safetensors",
    "texts.arrow",
    NAME,
]


@pytest.mark.parametrize("file", FILES)
def test_every_flipped_bit_and_every_cut_is_noticed(tmp_path, file):
    versions, (name,) = built(tmp_path, replace(circle(20), finish=lambda vectors: vectors))
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
