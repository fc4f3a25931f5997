"""Locks: places that cannot be written, and places that another process holds."""

import logging
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from aisle.data.exclusive import exclusive, make_writable

PROC = Path("/proc")
"""A folder where nobody can make a file, the superuser included."""

HOLD = """
import sys, time
from pathlib import Path
from aisle.data.exclusive import exclusive
with exclusive(Path(sys.argv[1]), Path("work")):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds `tmp_path / "lock"`."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        yield child
        child.kill()


@pytest.mark.skipif(not PROC.is_dir(), reason="no /proc on this system")
@pytest.mark.timeout(20)
def test_a_place_that_cannot_be_written_is_not_taken_for_a_held_lock() -> None:
    with pytest.raises(OSError, match="/proc"):
        make_writable(PROC)
    with pytest.raises(OSError, match="/proc"), exclusive(PROC / ".shop.lock", PROC / "shop"):
        pass


def test_folders_are_made_and_nothing_is_left_in_them(tmp_path: Path) -> None:
    make_writable(tmp_path / "a" / "b")
    assert not list((tmp_path / "a" / "b").iterdir())


def test_a_free_lock_is_taken_without_a_word(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        with exclusive(tmp_path / "lock", tmp_path / "work"):
            pass
    assert not caplog.records


def test_waiting_is_said_and_ends_with_the_holder(
    holder: subprocess.Popen[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    entered = threading.Event()

    def wait() -> None:
        with exclusive(tmp_path / "lock", tmp_path / "work"):
            entered.set()

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    deadline = time.monotonic() + 30
    while not caplog.records and time.monotonic() < deadline:
        time.sleep(0.01)
    assert caplog.record_tuples == [
        (
            "aisle.data.exclusive",
            logging.WARNING,
            f"another process is writing {tmp_path / 'work'}: waiting for it to end",
        )
    ]
    assert not entered.is_set()
    holder.kill()
    assert entered.wait(30)


def test_waiting_can_be_interrupted(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path / "lock")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        assert "waiting" in child.stderr.readline()
        child.send_signal(signal.SIGINT)
        assert "KeyboardInterrupt" in child.communicate(timeout=30)[1]
    assert holder.poll() is None
