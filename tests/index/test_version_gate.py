"""Publishing through the gate, rolling back, collecting."""

from pathlib import Path

import pytest
from planted_index import circle
from planted_versions import CPU, GATE, JOB, built

from aisle.index.description import NAME
from aisle.index.errors import IndexFault
from aisle.index.publishing import GateFault, collect, publish, rollback
from aisle.index.rebuild import rebuild
from aisle.index.rebuild_settings import RebuildSettings


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


def test_a_damaged_live_version_does_not_open_the_gate(tmp_path):
    """The version before it is there to compare with."""
    versions, (_, name) = built(tmp_path, circle(20), circle(20, changed=1))
    (tmp_path / name / "index.faiss").write_bytes(b"")
    with pytest.raises(GateFault, match=r"count drift 0\.5, at most 0\.2: FAILED"):
        rebuild(versions, circle(10), CPU, JOB)
