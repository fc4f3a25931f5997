"""A version in use: a shared lock keeps it from being collected; a dead reader does not keep it."""

import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows does not remove files that are open
    fcntl = None  # type: ignore[assignment]


class Lease:
    """A shared lock on a file, until `close`, or until nobody refers to it any more.

    Raises:
        FileNotFoundError: the file is not there, or went while the lock was waited for.
    """

    def __init__(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDONLY)
        self._finalizer = weakref.finalize(self, os.close, descriptor)
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        try:
            same = os.stat(path).st_ino == os.fstat(descriptor).st_ino
        except FileNotFoundError:
            same = False
        if not same:
            self.close()
            raise FileNotFoundError(f"{path} was removed while it was opened")

    def close(self) -> None:
        """Let go of it."""
        self._finalizer()


@contextmanager
def unused(path: Path) -> Iterator[bool]:
    """Whether nobody holds a lease on the file; while the body runs, nobody gets one."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        yield True
        return
    try:
        free = True
        if fcntl is not None:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                free = False
        yield free
    finally:
        os.close(descriptor)
