"""Where versions are kept: a folder, or whatever fsspec reaches by a URL (s3://, gs://, memory://)."""

import hashlib
import os
import re
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path
from threading import get_ident
from typing import Any

from aisle.durable import move, remove, sync, sync_tree, write_whole
from aisle.index.description import NAME, Description
from aisle.index.errors import IndexFault
from aisle.index.lease import unused

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


class RemoteStorage(Storage):
    """A URL that fsspec opens. What is read is fetched into `work` first, and checked there.

    Object stores replace a file in one step; they have no locks. One machine may write at a time.
    """

    copies = True

    def __init__(self, url: str, work: Path | None = None) -> None:
        import fsspec

        try:
            self.files, self.root = fsspec.core.url_to_fs(url)
        except (ValueError, ImportError) as error:
            raise IndexFault("a URL that fsspec can open", f"{url}: {error}", "check the URL") from None
        self.url = url
        self.work = work or kept_below(url)

    def __str__(self) -> str:
        return self.url

    def _at(self, *names: str) -> str:
        return "/".join([self.root.rstrip("/"), *names])

    def read(self, name: str) -> bytes | None:
        """Content of a file; None where there is none."""
        try:
            self.files.invalidate_cache()
            return bytes(self.files.cat_file(self._at(name)))
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes) -> None:
        """Replace a file."""
        self.files.makedirs(self.root, exist_ok=True)
        self.files.pipe_file(self._at(name), content)

    def all_folders(self) -> list[str]:
        """Names of all folders, sorted."""
        self.files.invalidate_cache()
        try:
            found: list[Any] = self.files.ls(self.root, detail=False)
        except FileNotFoundError:
            return []
        return sorted(str(path).rstrip("/").rpartition("/")[2] for path in found)

    def add(self, folder: Path, name: str) -> None:
        """Upload every file, the description last."""
        self.files.makedirs(self._at(name), exist_ok=True)
        for path in sorted(folder.iterdir(), key=lambda path: path.name == NAME):
            self.files.put_file(str(path), self._at(name, path.name))
        remove(folder)

    def here(self, name: str, *, fresh: bool = False) -> Path:
        """Fetch what is not here yet, the description last."""
        folder = self.place_of(name)
        content = self.read(f"{name}/{NAME}")
        if content is None:
            raise FileNotFoundError(f"no version {name} in {self.url}")
        if not fresh and self._has(folder, content):
            return folder
        folder.mkdir(parents=True, exist_ok=True)
        for file in Description.parse(content, self._at(name)).files:
            part = folder / f".{file}.{os.getpid()}-{get_ident()}.new"
            self.files.get_file(self._at(name, file), str(part))
            part.replace(folder / file)
        if not self._has(folder, content):  # else it stays the file that readers hold a lease on
            write_whole(folder / NAME, content)
        self._forget()
        return folder

    def _has(self, folder: Path, content: bytes) -> bool:
        """Whether a description with this content was fetched, and so all that belongs to it."""
        return (folder / NAME).is_file() and (folder / NAME).read_bytes() == content

    def _forget(self) -> None:
        """Remove what was fetched of versions that are gone, unless a reader has it open."""
        fetched = list((self.work / "fetched").iterdir())
        there = set(self.all_folders())  # asked last: what others fetched meanwhile is not in the list
        for folder in fetched:
            if folder.name not in there:
                with unused(folder / NAME) as free, suppress(FileNotFoundError):  # others forget, too
                    if free:
                        remove(folder)

    def place_of(self, name: str) -> Path:
        """Where it is fetched to."""
        return self.work / "fetched" / name

    def drop(self, name: str) -> None:
        """Remove the description, then the rest, and what was fetched of it."""
        if self.files.exists(self._at(name, NAME)):
            self.files.rm_file(self._at(name, NAME))
        if self.files.exists(self._at(name)):
            self.files.rm(self._at(name), recursive=True)
        remove(self.place_of(name))


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
    text = str(place)
    if "://" not in text:
        return LocalStorage(Path(place))
    if text.startswith("file://"):
        return LocalStorage(Path(text.removeprefix("file://")))
    return RemoteStorage(text, work)


def kept_below(url: str) -> Path:
    """Folder of this machine for what belongs to a URL."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "aisle" / "index" / hashlib.sha256(url.encode()).hexdigest()[:16]
