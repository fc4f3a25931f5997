"""Versions at a URL that fsspec opens (s3://, gs://, memory://): fetched, checked, and mapped here."""

import hashlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import get_ident
from typing import Any

from aisle.durable import remove, write_whole
from aisle.index.claim import Claim
from aisle.index.description import NAME, Description
from aisle.index.errors import IndexFault
from aisle.index.lease import unused
from aisle.index.storage import Storage

log = logging.getLogger(__name__)


class RemoteStorage(Storage):
    """A URL that fsspec opens. What is read is fetched into `work` first, and checked there.

    The store must replace a file in one step, as object stores do.
    """

    copies = True

    def __init__(self, url: str, work: Path | None = None) -> None:
        self.url = url.rstrip("/")
        self.files, self.root = _opened(self.url)
        self.work = work or kept_below(self.url)
        self._claim: Claim | None = None

    def __str__(self) -> str:
        return self.url

    def _at(self, *names: str) -> str:
        return "/".join([self.root.rstrip("/"), *names])

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold a claim to the place."""
        claim = Claim(self.files, self.root, self.work)
        with self._reached():
            claim.take()
        self._claim = claim
        try:
            yield
        finally:
            self._claim = None
            try:
                claim.release()
            except Exception as error:
                log.warning("the claim to write at %s ends in some minutes: %s", self.url, error)

    def read(self, name: str) -> bytes | None:
        """Content of a file; None where there is none."""
        try:
            with self._reached():
                self.files.invalidate_cache()
                return bytes(self.files.cat_file(self._at(name)))
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes) -> None:
        """Replace a file."""
        with self._reached():
            self.files.makedirs(self.root, exist_ok=True)
            self._check_claim()
            self.files.pipe_file(self._at(name), content)

    def all_folders(self) -> list[str]:
        """Names of all folders, sorted."""
        try:
            with self._reached():
                self.files.invalidate_cache()
                found: list[Any] = self.files.ls(self.root, detail=False)
        except FileNotFoundError:
            return []
        return sorted(str(path).rstrip("/").rpartition("/")[2] for path in found)

    def add(self, folder: Path, name: str) -> None:
        """Upload every file, the description last."""
        with self._reached():
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
            with self._reached():
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
        with self._reached():
            self._check_claim()
            self.files.invalidate_cache()
            if self.files.exists(self._at(name, NAME)):
                self.files.rm_file(self._at(name, NAME))
            if self.files.exists(self._at(name)):
                self.files.rm(self._at(name), recursive=True)
        remove(self.place_of(name))

    def _check_claim(self) -> None:
        if self._claim is not None:
            self._claim.check()

    @contextmanager
    def _reached(self) -> Iterator[None]:
        """Whatever a store's library raises, but for what is not there, as one kind of error."""
        try:
            yield
        except (FileNotFoundError, IndexFault):
            raise
        except Exception as error:
            said = (str(error).splitlines() or [""])[0]
            found = f"{self.url}: {type(error).__name__}: {said}"
            raise IndexFault("a store that answers", found, "check the URL, rights and network") from error


def _opened(url: str) -> tuple[Any, str]:
    """fsspec's file system of a URL, and the path in it.

    Raises:
        IndexFault: there is none.
    """
    import fsspec

    try:
        files, root = fsspec.core.url_to_fs(url)
    except (ValueError, ImportError) as error:
        fix = "check the URL; for s3://: pip install 'aisle[s3]'"
        raise IndexFault("a URL that fsspec can open", f"{url}: {error}", fix) from None
    return files, str(root)


def local_path(url: str) -> Path | None:
    """The folder of this machine that a URL names (file://, local://); None where it names none."""
    from fsspec.implementations.local import LocalFileSystem

    files, root = _opened(url)
    return Path(root) if isinstance(files, LocalFileSystem) else None


def kept_below(url: str) -> Path:
    """Folder of this machine for what belongs to a URL."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "aisle" / "index" / hashlib.sha256(url.encode()).hexdigest()[:16]
