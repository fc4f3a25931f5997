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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from filelock import FileLock, Timeout

from aisle.durable import remove
from aisle.index import pointer as pointers
from aisle.index.description import NAME, Check, Description
from aisle.index.errors import IndexFault
from aisle.index.gate import Finding, Side, inspect
from aisle.index.lease import Lease, unused
from aisle.index.pointer import Pointer, Publication
from aisle.index.rebuild_settings import GateSettings
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
        stored: index, ids, vectors, description.
        lease: let go by :meth:`close`, or with the object.
    """

    version: str
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


class GateFault(IndexFault):
    """A version that did not pass the gate.

    Attributes:
        version: its name; it is there, and not live.
        findings: all that was measured.
    """

    def __init__(self, version: str, findings: Sequence[Finding]) -> None:
        failed = "; ".join(str(finding) for finding in findings if not finding.passed)
        fix = f"look at the data, or publish it nevertheless: `aisle index publish {version} --force`"
        super().__init__(f"a version that passes the gate: {version}", failed, fix)
        self.version = version
        self.findings = tuple(findings)


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

        Raises:
            IndexFault: another process is writing, or the place cannot be written.
        """
        lock = FileLock(self.work / ".lock", timeout=0)
        try:
            self.work.mkdir(parents=True, exist_ok=True)
            probe = self.work / ".probe"
            probe.touch()  # FileLock alone would wait for ever in some folders that cannot be written
            probe.unlink()
            lock.acquire()
        except Timeout:
            found = "another process at work on it"
            raise IndexFault(f"an index that nobody else is writing: {self.storage}", found, "wait") from None
        except OSError as error:
            found = f"{self.work}: {error.strerror or error}"
            raise IndexFault("a place that can be written", found, "check its rights and its disk") from error
        try:
            remove(self.work / ".partial")
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
        """All versions, oldest first, or one of them.

        Args:
            check: how much of each is compared with its checksums; None: its description alone.
            only: one version.

        Raises:
            IndexFault: the pointer is damaged, or there is no such version.
        """
        found = self.pointer()
        names = self.names() if only is None else [self._known(only)]
        listed = []
        for name in names:
            description, damage = self._look(name, check)
            if not damage and check is not None and found is not None and (delta := found.delta_of(name)):
                damage = self._look(delta, check)[1]
            listed.append(Listed(name, description, found is not None and found.version == name, damage))
        return listed

    def open(
        self,
        settings: IndexSettings | None = None,
        *,
        version: str | None = None,
        model: str | None = None,
        check: Check = "all",
    ) -> Opened:
        """Open the live version, or a certain one, and keep it from being collected.

        Args:
            settings: where and how hard to search; None: as it was built.
            version: its name; None: the live one.
            model: fingerprint of what makes the queries; None skips the comparison.
            check: "all" reads every byte and notices any that changed; "sizes" opens in milliseconds.

        Raises:
            IndexFault: nothing is published, there is no such version, it is damaged, or its vectors are
                another model's.
        """
        for _ in range(TRIES):
            name, delta = (version, "") if version is not None else self._live()
            try:
                folder = self.storage.here(name)
                lease = Lease(folder / NAME)
                changes = self.storage.here(delta) if delta else None
            except (FileNotFoundError, NotADirectoryError):
                if version is not None:
                    break
                continue
            try:
                stored = open_folder(folder, settings, model=model, check=check)
                if changes is not None:
                    stored = with_delta(stored, changes, check)
                return Opened(name, stored, lease)
            except FileNotFoundError:  # changes that were replaced meanwhile
                lease.close()
                continue
            except BaseException:
                lease.close()
                raise
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

    def publish(
        self,
        name: str,
        settings: IndexSettings,
        gate: GateSettings,
        *,
        force: bool = False,
        why: str = "",
    ) -> Publication:
        """Have the gate look at a version and make it the live one; whoever does holds :meth:`writing`.

        Args:
            name: the version.
            settings: where to search.
            gate: thresholds.
            force: publish it although it fails the gate; who did, and what failed, is recorded.
            why: the reason for that.

        Raises:
            GateFault: it fails the gate.
            IndexFault: it is damaged or not there, or the pointer is damaged.
        """
        before = self.pointer()
        findings = self._inspect(name, settings, gate, None if before is None else before.version)
        failed = [finding.check for finding in findings if not finding.passed]
        if failed and not force:
            raise GateFault(name, findings)
        return self._point(name, before, "publish", findings=findings, failed=failed, why=why)

    def rollback(self, name: str | None = None) -> Publication:
        """Make an earlier version live again; whoever does holds :meth:`writing`.

        Args:
            name: the version; None: the newest that was published once and is older than the live one.

        Raises:
            IndexFault: there is none, or it is damaged.
        """
        before = self.pointer()
        if before is None:
            raise IndexFault("a published version", f"none in {self.storage}", "publish one first")
        there = set(self.names())
        served = {publication.version for publication in before.publications}
        earlier = sorted(one for one in there & served if one < before.version)
        if name is None and not earlier:
            found = f"{before.version} is the oldest of those that were published and are still there"
            raise IndexFault("an earlier version", found, "keep more versions (rebuild.keep)")
        chosen = self._known(name or earlier[-1])
        _, damage = self._look(chosen, "all")
        if damage:
            raise IndexFault(f"a sound version {chosen}", damage, "roll back to another one, or rebuild")
        return self._point(chosen, before, "rollback", delta=before.delta_of(chosen))

    def delta_name(self, version: str) -> str:
        """A name for the next changes to a version."""
        start = f"{DELTA}{version}-"
        numbers = [int(name.removeprefix(start)) for name in self.storage.deltas() if name.startswith(start)]
        return f"{start}{max(numbers, default=0) + 1:06d}"

    def point_to_delta(self, version: str, delta: str) -> Publication:
        """Serve changes with the live version; whoever does holds :meth:`writing`.

        Raises:
            IndexFault: another version is live meanwhile.
        """
        before = self.pointer()
        if before is None or before.version != version:
            found = "none" if before is None else before.version
            raise IndexFault(f"{version} as the live version", found, "start the update again")
        return self._point(version, before, "update", delta=delta)

    def collect(self, keep: int) -> list[str]:
        """Remove old versions and folders that never became one; whoever does holds :meth:`writing`.

        What stays: the live version, the newest `keep - 1` others that were published once, a newer one
        that was never published, and what a reader of this machine has open.

        Returns:
            Names of the versions that were removed.

        Raises:
            IndexFault: the pointer is damaged: then nothing is removed.
        """
        found = self.pointer()
        names = self.names()
        for name in set(self.storage.folders()) - set(names):
            self.storage.drop(name)
        used = {found.delta_of(name) for name in names} if found is not None else set()
        for name in set(self.storage.deltas()) - used:
            self.storage.drop(name)
        served = {one.version for one in found.publications} if found is not None else set()
        live = None if found is None else found.version
        once = [name for name in names if name in served and name != live]
        never = [name for name in names if name not in served]
        waiting = [name for name in never[-1:] if live is None or name > live]
        old = sorted({*once[: max(0, len(once) - (keep - 1))], *never} - {*waiting})
        return [name for name in old if self._dropped(name)]

    def _dropped(self, name: str) -> bool:
        with unused(self.storage.place_of(name) / NAME) as free:
            if free:
                self.storage.drop(name)
            else:
                log.info("%s is being read: it stays for now", name)
            return free

    def _live(self) -> tuple[str, str]:
        found = self.pointer()
        if found is None:
            raise IndexFault("a published version", f"none in {self.storage}", "run `aisle index rebuild`")
        return found.version, found.delta

    def _known(self, name: str) -> str:
        if name not in self.storage.folders():
            raise IndexFault(
                f"a version of {self.storage}", f"no version {name}", "`aisle index list` shows all versions"
            )
        return name

    def _look(self, name: str, check: Check | None) -> tuple[Description | None, str | None]:
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

    def _inspect(
        self, name: str, settings: IndexSettings, gate: GateSettings, live: str | None
    ) -> list[Finding]:
        fresh = self.open(settings, version=name)
        before = None
        try:
            if live is not None and live != name:
                before = self.open(settings, version=live, check="sizes")
        except IndexFault as fault:
            log.warning("the live version cannot be compared with: %s", fault.found)
        try:
            return inspect(_side(fresh), None if before is None else _side(before), gate)
        finally:
            fresh.close()
            if before is not None:
                before.close()

    def _point(
        self,
        name: str,
        before: Pointer | None,
        how: str,
        *,
        findings: Sequence[Finding] = (),
        failed: Sequence[str] = (),
        why: str = "",
        delta: str = "",
    ) -> Publication:
        publication = Publication(
            version=name,
            delta=delta,
            at=pointers.now(),
            by=pointers.whoever(),
            how=how,
            checks=tuple(findings),
            overridden=tuple(failed),
            why=why,
        )
        after = Pointer(publications=(publication,)) if before is None else before.then(publication)
        self.storage.write(pointers.NAME, after.sealed().content())
        return publication


def _side(opened: Opened) -> Side:
    stored = opened.stored
    return Side(stored.index, stored.ids.series(), stored.vectors, stored.description.metric)
