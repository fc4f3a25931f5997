"""The nightly job on a Ray cluster of its own: the same rows, whoever dies."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import psutil
import pytest
from polars.testing import assert_frame_equal

import aisle
from aisle.batch.job import Request, candidates_for_users
from aisle.batch.local import local_engine
from aisle.batch.on_ray import Parts, RayEngine, _raise, share_of
from aisle.batch.work import Work
from aisle.data.errors import InputError

pytest.importorskip("ray", reason="Ray is not installed (aisle[ray])")

PARTS = 12


def job(run: Path, out: Path, engine: object) -> pl.DataFrame:
    """The candidates of all users of a run, in parts of a few users."""
    events = len(pl.read_parquet(run / "prepare" / "events.parquet"))
    settings = aisle.load_settings(None, ["candidates.k=3", f"candidates.part_events={-(-events // PARTS)}"])
    done, summary = candidates_for_users(Request(str(run), run, out), settings, engine)
    assert summary.parts == PARTS
    return pl.read_parquet(done.folder / "candidates" / "*.parquet")


@contextmanager
def a_worker_dies(out: Path) -> Iterator[list[int]]:
    """Kills a process that does parts, as soon as the first part is whole."""
    killed: list[int] = []
    over = threading.Event()

    def look() -> None:
        while not over.is_set() and not killed:
            if any(out.glob(".partial/batch-*/notes/*.json")):
                for process in psutil.Process().children(recursive=True):
                    try:
                        at_work = (
                            process.cmdline()[0].startswith("ray::") and "IDLE" not in process.cmdline()[0]
                        )
                        if at_work and process.memory_info().rss > 200 << 20:  # it has a model
                            os.kill(process.pid, signal.SIGKILL)
                            killed.append(process.pid)
                            break
                    except (psutil.NoSuchProcess, IndexError):
                        continue
            time.sleep(0.01)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield killed
    finally:
        over.set()
        thread.join()


def test_ray_finds_the_same_rows_though_a_worker_dies(
    tea_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_worker_niceness", "0")  # machines that test are shared
    with a_worker_dies(tmp_path / "ray") as killed:
        found = job(tea_run, tmp_path / "ray", RayEngine(workers=2, cores=2))
    assert len(killed) == 1
    assert_frame_equal(found, job(tea_run, tmp_path / "local", local_engine))


def test_more_workers_than_cores_share_them(
    tea_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [share_of(8, workers) for workers in (1, 3, 8)] == [8, 2, 1]
    assert 1 - 7e-4 <= 7 * share_of(1, 7) <= 1
    monkeypatch.setenv("RAY_worker_niceness", "0")
    found = job(tea_run, tmp_path / "ray", RayEngine(workers=2, cores=1))
    assert_frame_equal(found, job(tea_run, tmp_path / "local", local_engine))


def test_what_a_worker_finds_wrong_is_said_here(tea_run: Path, tmp_path: Path) -> None:
    def by_hand(work: Work, parts: list[int]) -> None:
        others = replace(work, says={**work.says, "aisle.model": "another"})
        for told in (others, replace(work, out=Path("/proc/nowhere"))):
            answer = Parts(told)({"part": np.array(parts[:1])})
            row = {name: values[0] for name, values in answer.items()}
            with pytest.raises((InputError, OSError)) as wrong:
                _raise(row)
            seen.append(wrong.value)
        local_engine(work, parts)

    seen: list[Exception] = []
    job(tea_run, tmp_path, by_hand)
    assert isinstance(seen[0], InputError)
    assert "the model that the job began with, another" in seen[0].expected
    assert isinstance(seen[1], OSError)
    assert seen[1].errno
