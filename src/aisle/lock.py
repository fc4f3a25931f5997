"""One process at a time in an output folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from aisle.data.errors import InputError
from aisle.data.exclusive import make_writable


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Make `out` if need be and hold its lock. It is the kernel's: a killed process does not keep it.

    Raises:
        InputError: `out` cannot be written, or another process is at work in it.
    """
    lock = FileLock(out / ".lock", timeout=0)
    try:
        make_writable(out)
        lock.acquire()
    except Timeout:
        raise InputError(
            f"an output folder that no other run is writing: {out}",
            "another aisle process at work in it",
            "wait for it to end, or choose another --out",
        ) from None
    except OSError as error:
        found = f"{out}: {error.strerror or error}"
        raise InputError("an output folder that can be written", found, "choose another --out") from error
    try:
        yield
    finally:
        lock.release()
