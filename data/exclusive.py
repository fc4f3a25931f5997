"""One process at a time, in a place that can be written."""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

log = logging.getLogger(__name__)


def make_writable(folder: Path) -> None:
    """Make `folder` if need be, and see that files can be made in it.

    Raises:
        OSError: it cannot be made, or they cannot.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(folder)) from None


@contextmanager
def exclusive(lock: Path, work: Path) -> Iterator[None]:
    """Hold a lock, and wait while another process holds it, with a warning that says so.

    The lock is the kernel's: a killed process does not keep it.

    Args:
        lock: lock file, made with its folder if need be, and left there.
        work: the file or folder that one process may write at a time, as the warning names it.

    Raises:
        OSError: the lock file cannot be made.
    """
    make_writable(lock.parent)  # FileLock alone would wait for ever in some folders that cannot be written
    held = FileLock(lock)
    try:
        held.acquire(timeout=0)
    except Timeout:
        log.warning("another process is writing %s: waiting for it to end", work)
        held.acquire()
    try:
        yield
    finally:
        held.release()
