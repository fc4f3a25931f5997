"""Versions of an index side by side, and the pointer to the one that is served.

    <place>/<version>/   a version: index, ids, vectors, index.json (aisle.index.store)
    <place>/delta-<version>-<n>/  changes to it since it was built (aisle.index.updates)
    <place>/live.json    the pointer, replaced by one rename
    <place>/cache/       vectors of texts by content
    <place>/.partial/    a version that is being built
    <place>/.lock        held by the one process that writes

A version is never changed once it bears its name. Readers need no lock: they follow the pointer, and hold a
lease on the version that they opened, so that it is not collected under them.
"""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryFile

from filelock import FileLock, Timeout

from aisle.durable import remove
from aisle.index import pointer as pointers
from aisle.index.description import NAME, Check, Description
from aisle.index.errors import Damaged, IndexFault
from aisle.index.lease import Lease
from aisle.index.pointer import Pointer
from aisle.index.settings import IndexSettings
from aisle.index.storage import DELTA, storage_of
from aisle.index.store import Stored, open_folder, with_delta

log = logging.getLogger(__name__)

TRIES = 20
"""Times a reader follows the pointer anew, because the version it named was collected meanwhile."""

STAMP = "%Y%m%dT%H%M%S%f"


@dataclass(frozen=True, eq=False)
class Opened:
    """A version that a reader has open: what it holds does not change, and is not collected.

    Attributes:
        version: its name.
        delta: name of the changes to it; empty where there are none.
        stored: index, ids, vectors, description.
        lease: let go by :meth:`close`, or with the object.
    """

    version: str
    delta: str
    stored: Stored
    lease: Lease

    def close(self) -> None:
        """Let it be collected."""
        self.lease.close()


@dataclass(frozen=True)
class Listed:
    """A version as it is listed.

    Attributes:
        version: its name.
        description: what it says about itself; None where it cannot be read.
        live: whether it is served.
        damage: what is wrong with it, as far as was looked; None where nothing is.
    """

    version: str
    description: Description | None
    live: bool
    damage: str | None


class Versions:
    """The versions of one index.

    Args:
        place: a folder, or a URL that fsspec opens.
        work: for a URL: folder of this machine for what is fetched and built.
    """

    def __init__(self, place: str | Path, work: Path | None = None) -> None:
        self.storage = storage_of(place, work)

    @property
    def work(self) -> Path:
        """Folder of this machine for the lock, the cache, and what is being built."""
        return self.storage.work

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Be the one process that writes. The lock is the kernel's: a killed process does not keep it.

        At a URL, other machines are kept away by a claim (:mod:`aisle.index.claim`).

        Raises:
            IndexFault: another process is writing, or the place cannot be written.
        """
        lock = FileLock(self.work / ".lock", timeout=0)
        try:
            self.work.mkdir(parents=True, exist_ok=True)
            TemporaryFile(dir=self.work).close()  # FileLock would wait for ever where nothing can be written
            lock.acquire()
        except Timeout:
            found = "another process at work on it"
            raise IndexFault(f"an index that nobody else is writing: {self.storage}", found, "wait") from None
        except OSError as error:
            found = f"{self.work}: {error.strerror or error}"
            raise IndexFault("a place that can be written", found, "check its rights and its disk") from error
        try:
            remove(self.work / ".partial")
            with self.storage.alone():
                yield
        finally:
            lock.release()

    def pointer(self) -> Pointer | None:
        """The pointer; None where nothing was published yet.

        Raises:
            IndexFault: it is damaged.
        """
        content = self.storage.read(pointers.NAME)
        return None if content is None else Pointer.parse(content, str(self.storage))

    def names(self) -> list[str]:
        """Whole versions, oldest first, damaged ones included."""
        return [name for name in self.storage.folders() if self.storage.read(f"{name}/{NAME}") is not None]

    def listing(self, *, check: Check | None = None, only: str | None = None) -> list[Listed]:
        """All versions, oldest first, or one of them; the live one even where it is not there any more.

        Args:
            check: how much of each is compared with its checksums; None: its description alone.
            only: one version.

        Raises:
            IndexFault: the pointer is damaged, or there is no such version.
        """
        found = self.pointer()
        if only is None:
            names = sorted({*self.names(), *([] if found is None else [found.version])})
        else:
            names = [self.known(only)]
        listed = []
        for name in names:
            description, damage = self.look(name, check)
            if not damage and check is not None and found is not None and (delta := found.delta_of(name)):
                damage = self.look(delta, check)[1]
            listed.append(Listed(name, description, found is not None and found.version == name, damage))
        return listed

    def open(
        self,
        settings: IndexSettings | None = None,
        *,
        version: str | None = None,
        delta: str = "",
        model: str | None = None,
        check: Check = "all",
    ) -> Opened:
        """Open the live version, or a certain one, and keep it from being collected.

        Args:
            settings: where and how hard to search; None: as it was built.
            version: its name; None: the live one, with the changes to it.
            delta: name of the changes to take in with a certain version; empty: none.
            model: fingerprint of what makes the queries; None skips the comparison.
            check: "all" reads every byte and notices any that changed; "sizes" opens in milliseconds.

        Raises:
            IndexFault: nothing is published, there is no such version, it is damaged, or its vectors are
                another model's.
        """
        fresh = False
        for _ in range(TRIES):
            name, beside = (version, delta) if version is not None else self._live()
            try:
                return self._opened(name, beside, settings, model, check, fresh)
            except (FileNotFoundError, NotADirectoryError):  # collected meanwhile
                if version is not None:
                    break
            except Damaged:
                if fresh or not self.storage.copies:
                    raise
                log.warning("what was fetched of %s is damaged: it is fetched again", name)
                fresh = True
        raise IndexFault(
            f"version {name} in {self.storage}", "it is not there", "`aisle index list` shows all versions"
        )

    def name_for(self, data: str) -> str:
        """A name for a new version: the moment, later than that of all others, and the data's fingerprint."""
        moment = datetime.now(UTC)
        if names := self.storage.folders():
            newest = datetime.strptime(names[-1].split("-")[0].rstrip("Z"), STAMP).replace(tzinfo=UTC)
            moment = max(moment, newest + timedelta(microseconds=1))
        return f"{moment.strftime(STAMP)}Z-{data[:8]}"

    def add(self, folder: Path, name: str) -> None:
        """Bring a finished folder to its place; whoever does holds :meth:`writing`."""
        self.storage.add(folder, name)

    def delta_name(self, version: str) -> str:
        """A name for the next changes to a version."""
        start = f"{DELTA}{version}-"
        numbers = [int(name.removeprefix(start)) for name in self.storage.deltas() if name.startswith(start)]
        return f"{start}{max(numbers, default=0) + 1:06d}"

    def _opened(
        self,
        name: str,
        delta: str,
        settings: IndexSettings | None,
        model: str | None,
        check: Check,
        fresh: bool,
    ) -> Opened:
        """Version and changes, both kept from being collected while they are opened.

        What was opened of changes is in memory, or mapped; they need no lease any longer.
        """
        with ExitStack() as leases:
            folder = self.storage.here(name, fresh=fresh)
            lease = Lease(folder / NAME)
            leases.callback(lease.close)
            stored = open_folder(folder, settings, model=model, check=check)
            if delta:
                changes = self.storage.here(delta, fresh=fresh)
                with closing(Lease(changes / NAME)):
                    stored = with_delta(stored, changes, check)
            leases.pop_all()
            return Opened(name, delta, stored, lease)

    def _live(self) -> tuple[str, str]:
        found = self.pointer()
        if found is None:
            raise IndexFault("a published version", f"none in {self.storage}", "run `aisle index rebuild`")
        return found.version, found.delta

    def known(self, name: str) -> str:
        """The name, if there is such a version.

        Raises:
            IndexFault: there is none.
        """
        if name not in self.storage.folders():
            raise IndexFault(
                f"a version of {self.storage}", f"no version {name}", "`aisle index list` shows all versions"
            )
        return name

    def look(self, name: str, check: Check | None) -> tuple[Description | None, str | None]:
        """What a version says about itself, and what is wrong with it."""
        content = self.storage.read(f"{name}/{NAME}")
        if content is None:
            return None, f"{NAME} is missing"
        try:
            description = Description.parse(content, name)
        except IndexFault as fault:
            return None, fault.found
        if check is None:
            return description, None
        return description, description.damage(self.storage.here(name, fresh=check == "all"), check)
