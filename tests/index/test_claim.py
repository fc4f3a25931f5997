"""One writer at a time at a URL: claims that end on their own, and changes that are not made without one."""

import json
import time
from pathlib import Path

import fsspec
import pytest
from planted_index import circle

from aisle.index import claim as claims
from aisle.index.claim import Claim, machine_of
from aisle.index.errors import IndexFault
from aisle.index.rebuild import rebuild
from aisle.index.rebuild_settings import RebuildSettings
from aisle.index.settings import IndexSettings
from aisle.index.versions import Versions

CPU = IndexSettings(device="cpu")
JOB = RebuildSettings()


@pytest.fixture
def place(tmp_path: Path) -> str:
    return f"memory://claimed-{tmp_path.name}"


def on_machine(name: str, place: str, tmp_path: Path) -> Versions:
    return Versions(place, tmp_path / name)


def said(versions: Versions) -> list[dict]:
    """What the claims at a place say."""
    files, folder = versions.storage.files, f"{versions.storage.root}/{claims.FOLDER}"
    return [json.loads(files.cat_file(path)) for path in files.ls(folder, detail=False)]


def put(versions: Versions, number: int, **content: object) -> None:
    files = versions.storage.files
    files.pipe_file(f"{versions.storage.root}/{claims.FOLDER}/{number}", json.dumps(content).encode())


def test_two_machines_at_once(place, tmp_path):
    one, other = (on_machine(name, place, tmp_path) for name in ("one", "other"))
    rebuild(one, circle(20), CPU, JOB)
    with one.writing():
        with pytest.raises(IndexFault, match=r"nobody else is writing(.|\n)*claim ends in 300 s"):
            rebuild(other, circle(20, changed=1), CPU, JOB)
        assert len(said(one)) == 1
    assert said(one) == []
    assert rebuild(other, circle(20, changed=1), CPU, JOB).status == "published"


@pytest.mark.parametrize(("machine", "left"), [("gone", -1.0), ("one", 200.0)], ids=["ended", "of this one"])
def test_a_dead_writer_does_not_keep_it(place, tmp_path, machine, left):
    """Another machine's claim ends; this one's lock tells that its own writer is dead."""
    one = on_machine("one", place, tmp_path)
    for name in ("one", "gone"):
        (tmp_path / name).mkdir()
    put(one, 7, by="me@there", machine=machine_of(tmp_path / machine), token="t", until=time.time() + left)
    with one.writing():
        assert [claim["token"] == "t" for claim in said(one)] == [False]
    assert said(one) == []


def test_nobody_publishes_whose_claim_was_taken_over(place, tmp_path):
    one = on_machine("one", place, tmp_path)
    first = rebuild(one, circle(20), CPU, JOB).version

    def stall(step):
        if step == "publish":
            put(one, 2, by="me@there", machine="other", token="t", until=time.time() + 200)

    with pytest.raises(IndexFault, match="stood still for so long"):
        rebuild(one, circle(20, changed=1), CPU, JOB, listener=stall)
    assert one.pointer().version == first
    assert len(one.names()) == 2  # nor is anything removed
    assert [claim["token"] for claim in said(one)] == ["t"]


def test_nobody_relies_on_a_claim_that_is_about_to_end(place, tmp_path, monkeypatch):
    monkeypatch.setattr(claims, "LASTS", claims.MARGIN)
    with pytest.raises(IndexFault, match="stood still for so long"):
        rebuild(on_machine("one", place, tmp_path), circle(20), CPU, JOB)


def test_a_claim_is_renewed_while_the_job_goes_on(place, tmp_path, monkeypatch):
    monkeypatch.setattr(claims, "RENEWED", 0.01)
    one = on_machine("one", place, tmp_path)
    with one.writing():
        (before,) = said(one)
        until = time.monotonic() + 10
        while said(one)[0]["until"] == before["until"] and time.monotonic() < until:
            time.sleep(0.01)
        assert said(one)[0]["until"] > before["until"]
    assert said(one) == []


class Racing:
    """A store in which another writer does something just before an object is made."""

    def __init__(self, files, before, exclusive=True):
        self._files, self._before, self._exclusive = files, before, exclusive

    def __getattr__(self, name):
        return getattr(self._files, name)

    def pipe_file(self, path, value, mode="overwrite"):
        before, self._before = self._before, lambda: None
        before()
        self._files.pipe_file(path, value, mode=mode if self._exclusive else "overwrite")


@pytest.fixture
def both(place, tmp_path):
    """What two claims are made of."""
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    files = fsspec.filesystem("memory")
    return files, [(place.removeprefix("memory:/"), tmp_path / name) for name in ("one", "other")]


def test_of_two_who_see_the_same_one_writes(both):
    files, (one, other) = both
    quicker = Claim(files, *other)
    with pytest.raises(IndexFault, match="quicker"):
        Claim(Racing(files, quicker.take), *one).take()
    quicker.check()
    quicker.release()


def test_a_store_that_overwrites_is_noticed(both):
    files, (one, other) = both
    slower, late = Claim(files, *other), Claim(Racing(files, lambda: slower.take(), exclusive=False), *one)
    late.take()
    with pytest.raises(IndexFault, match="stood still"):
        slower.check()
    late.check()
    late.release()
    slower.release()


def test_of_two_who_see_different_ones_at_most_one_writes(both):
    """One saw a claim that had ended, the other saw that it was swept away: their numbers differ."""
    files, (one, other) = both
    folder = f"{one[0]}/{claims.FOLDER}"
    files.pipe_file(f"{folder}/5", b'{"until": 0.0}')
    quick = Claim(files, *other)
    slow = Claim(Racing(files, lambda: (files.rm_file(f"{folder}/5"), quick.take())), *one)
    with pytest.raises(IndexFault, match="nobody else"):
        slow.take()
    quick.check()
    quick.release()
    assert files.ls(folder, detail=False) == []
