"""Where versions are kept: a folder, or what a URL names (:mod:`aisle.index.remote`)."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aisle.durable import move, remove, sync, sync_tree, write_whole
from aisle.index.description import NAME

DELTA = "delta-"
"""How names of folders with changes to a version begin."""


class Storage(ABC):
    """A place with a pointer, and a folder for each version.

    Attributes:
        work: folder of this machine for the lock, unfinished versions and the cache of vectors.
        copies: whether `here` gives copies, which may be damaged where the original is not.
    """

    work: Path
    copies = False

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Be the one machine that writes, where several can; whoever does holds the lock of this one.

        Raises:
            IndexFault: another one is writing.
        """
        yield

    @abstractmethod
    def read(self, name: str) -> bytes | None:
        """Content of a file; None where there is none."""

    @abstractmethod
    def write(self, name: str, content: bytes) -> None:
        """Replace a file: a reader finds the old content or the new one."""

    @abstractmethod
    def all_folders(self) -> list[str]:
        """Names of all folders, sorted."""

    def folders(self) -> list[str]:
        """Names of those that may be versions, unfinished ones included, sorted."""
        return [name for name in self.all_folders() if is_version(name)]

    def deltas(self) -> list[str]:
        """Names of those that may be changes to a version, unfinished ones included, sorted."""
        return [name for name in self.all_folders() if is_delta(name)]

    @abstractmethod
    def add(self, folder: Path, name: str) -> None:
        """Bring a whole folder to the place; its description comes last."""

    @abstractmethod
    def here(self, name: str, *, fresh: bool = False) -> Path:
        """A version's folder on this machine; with `fresh`, what was fetched earlier does not count.

        Raises:
            FileNotFoundError: there is no such version, or it was collected meanwhile.
        """

    @abstractmethod
    def place_of(self, name: str) -> Path:
        """Where a version's folder is on this machine, if it is there."""

    @abstractmethod
    def drop(self, name: str) -> None:
        """Remove a version: from its description on, nobody takes what is left for a whole one."""


class LocalStorage(Storage):
    """A folder on a disk of this machine."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.work = root

    def __str__(self) -> str:
        return str(self.root)

    def read(self, name: str) -> bytes | None:
        """Content of a file; None where there is none."""
        try:
            return (self.root / name).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes) -> None:
        """Replace a file by renaming."""
        write_whole(self.root / name, content)

    def all_folders(self) -> list[str]:
        """Names of all folders, sorted."""
        try:
            return sorted(path.name for path in self.root.iterdir() if path.is_dir())
        except FileNotFoundError:
            return []

    def add(self, folder: Path, name: str) -> None:
        """Bring it to the disk and rename it."""
        sync_tree(folder)
        move(folder, self.root / name)

    def here(self, name: str, *, fresh: bool = False) -> Path:
        """The folder itself."""
        return self.root / name

    def place_of(self, name: str) -> Path:
        """The folder itself."""
        return self.root / name

    def drop(self, name: str) -> None:
        """Remove the description, then the rest."""
        folder = self.root / name
        if (folder / NAME).exists():
            remove(folder / NAME)
            sync(folder)
        remove(folder)


VERSION = r"\d{8}T\d{12}Z-[0-9a-z]{1,8}"
"""Name of a version: the moment it was made, and the beginning of its data's fingerprint."""


def is_version(name: str) -> bool:
    """Whether a folder of this name may be a version; nothing else is ever removed.

    >>> is_version("20260301T023000000000Z-1f6c0a3b"), is_version("20260301T-mine")
    (True, False)
    """
    return re.fullmatch(VERSION, name) is not None


def is_delta(name: str) -> bool:
    """Whether a folder of this name may hold changes to a version."""
    return re.fullmatch(rf"{DELTA}{VERSION}-\d{{6,}}", name) is not None


def storage_of(place: str | Path, work: Path | None = None) -> Storage:
    """The storage at a path or a URL.

    Args:
        place: a folder, or a URL such as `s3://bucket/index`.
        work: for a URL, the folder of this machine that holds what is fetched; a cache folder unless told.
    """
    from aisle.index.remote import RemoteStorage, local_path

    text = str(place)
    if "://" not in text:
        return LocalStorage(Path(place))
    path = local_path(text)
    return RemoteStorage(text, work) if path is None else LocalStorage(path)
