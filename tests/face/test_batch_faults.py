"""The nightly job when something happens: a kill, a full disk, files that change, sources that are large."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from batch_jobs import USERS, found, job
from polars.testing import assert_frame_equal
from pyarrow import parquet

from aisle import memory
from aisle.batch.local import local_engine
from aisle.batch.parts import PartFiles
from aisle.batch.work import Work
from aisle.data.buckets import Spilled, spill
from aisle.data.errors import InputError
from aisle.data.settings import DataSettings
from aisle.data.source import EventSource


class Killed(BaseException):
    """Stands for the end of the process."""


def test_a_stopped_job_goes_on_behind_its_last_whole_part(
    tea_run: Path, events: Path, plain: Path, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for path in events.iterdir():
        (source / path.name).write_bytes(path.read_bytes())
    asked: list[list[int]] = []

    def stops_after_two(work: Work, parts: list[int]) -> None:
        asked.append(parts)
        local_engine(work, parts[:2])
        raise Killed

    with pytest.raises(Killed):
        job(source, tea_run, tmp_path / "out", engine=stops_after_two)
    partial = next((tmp_path / "out" / ".partial").glob("batch-*[!k]"))
    (PartFiles(partial, 1).candidates).write_bytes(b"rotten")
    pl.DataFrame({"user_id": ["late"], "item_id": ["i0"], "timestamp": [1_700_000_009]}).write_parquet(
        source / "late.parquet"
    )

    def the_rest(work: Work, parts: list[int]) -> None:
        asked.append(parts)
        local_engine(work, parts)

    job(source, tea_run, tmp_path / "out", engine=the_rest)
    assert asked == [[0, 1, 2, 3], [1, 2, 3]]
    assert_frame_equal(found(tmp_path / "out"), found(plain))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [".lock", "batch"]
    _, summary = job(source, tea_run, tmp_path / "out")
    assert summary.users == USERS + 1


def test_a_file_that_changes_while_it_is_read(events: Path, tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"
    path.write_bytes((events / "train.parquet").read_bytes())
    source = EventSource(str(path))
    path.write_bytes((events / "validation.parquet").read_bytes())
    with pytest.raises(InputError, match="has changed"):
        spill(source.batches(DataSettings(), timed=True, chars=10), tmp_path / "buckets", 2)
    assert Spilled.read(tmp_path / "buckets") is None


def test_a_kill_at_any_point_loses_no_whole_part(
    tea_run: Path, events: Path, plain: Path, tmp_path: Path
) -> None:
    world = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("batch_crashes.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert world.stdin is not None
    assert world.stdout is not None
    out, outcomes, kept = tmp_path / "out", [], {}
    while not outcomes or outcomes[-1] == "killed":
        kill_at = 21 + 5 * len(outcomes)  # other steps are cut off each time
        command = {"users": str(events), "run": str(tea_run), "out": str(out)}
        world.stdin.write(json.dumps({**command, "kill_at": kill_at, "kill_after": None}) + "\n")
        world.stdin.flush()
        outcomes.append(world.stdout.readline().strip())
        for note in out.glob(".partial/batch-*/notes/*.json"):
            stamp = note.stat().st_mtime_ns
            assert kept.setdefault(note.name, stamp) == stamp, "a whole part was done again"
    world.communicate()
    assert outcomes[-1] == "finished"
    assert len(outcomes) > 3
    assert len(kept) > 1
    assert_frame_equal(found(out), found(plain))


def test_a_full_disk_keeps_what_is_finished(
    tea_run: Path, events: Path, plain: Path, small_disk: Path
) -> None:
    asked = []
    ballast = small_disk / "ballast"

    def fills_the_disk(work: Work, parts: list[int]) -> None:
        asked.append(parts)
        local_engine(work, parts[:2])
        ballast.write_bytes(bytes(shutil.disk_usage(small_disk).free))
        local_engine(work, parts[2:])

    def the_rest(work: Work, parts: list[int]) -> None:
        asked.append(parts)
        local_engine(work, parts)

    with pytest.raises(OSError, match="No space left") as full:
        job(events, tea_run, small_disk / "out", engine=fills_the_disk)
    assert full.value.errno == errno.ENOSPC
    ballast.unlink()
    job(events, tea_run, small_disk / "out", engine=the_rest)
    assert asked == [[0, 1, 2, 3], [2, 3]]
    assert_frame_equal(found(small_disk / "out"), found(plain))


def test_memory_does_not_grow_with_the_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aisle.data.source.BATCH_ROWS", 1 << 12)
    ids = pl.Series([f"{row:0500}" for row in range(1 << 12)])
    rows = {"user_id": ids, "item_id": ids, "kind": "view", "timestamp": 1_700_000_000}
    some = pl.DataFrame(rows)
    peaks = []
    for copies in (2, 40):
        folder = tmp_path / str(copies)
        folder.mkdir()
        with parquet.ParquetWriter(folder / "events.parquet", some.to_arrow().schema) as file:
            for _ in range(copies):
                file.write_table(some.to_arrow())
        memory.reset_peak()
        batches = EventSource(str(folder)).batches(DataSettings(), timed=True, chars=10)
        spilled = spill(batches, folder / "buckets", 3, held=1 << 22)
        peaks.append(memory.peak())
        assert spilled.events == copies * len(some)
    assert peaks[1] - peaks[0] < 60 << 20  # the second source is 160 MB
