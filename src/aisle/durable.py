"""Files and folders that survive a kill or a power cut: whole under their name, or not there."""

import ctypes
import errno
import os
import shutil
import sys
from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def write_whole(path: Path, content: str | bytes) -> None:
    """Write `path` so that a reader finds the old content or the new one, never a part of it."""
    fresh = unfinished(path)
    with fresh.open("wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    sync(path.parent)


def unfinished(path: Path) -> Path:
    """Name beside `path` under which its content is written until it is whole."""
    return path.with_name(f".{path.name}.new")


def sync(path: Path) -> None:
    """Have the operating system bring a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """`sync` for everything below `folder`, and `folder` itself."""
    for path in folder.rglob("*"):
        sync(path)
    sync(folder)


def move(source: Path, target: Path) -> None:
    """Rename a folder and bring both parents to the disk. `target` does not exist."""
    source.rename(target)
    sync(target.parent)
    sync(source.parent)


def exchange(first: Path, second: Path) -> bool:
    """Swap two folders in one step, so that both names exist at every moment.

    Returns:
        False, with nothing done, where the operating system or the file system cannot: only Linux can
        (renameat2), and not on every network file system.
    """
    if sys.platform != "linux":
        return False
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:
        return False
    if renameat2(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE) != 0:
        code = ctypes.get_errno()
        if code in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
            return False
        raise OSError(code, os.strerror(code), str(first))
    sync(first.parent)
    sync(second.parent)
    return True


def remove(path: Path) -> None:
    """Remove a file or a folder with all it holds; nothing happens where there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
