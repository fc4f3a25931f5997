"""Which version is served: through the gate, back to an earlier one, with changes; and old ones removed.

Whoever calls these holds :meth:`aisle.index.versions.Versions.writing`.
"""

import logging
from collections.abc import Sequence
from contextlib import closing, nullcontext

from aisle.index import pointer as pointers
from aisle.index.description import NAME
from aisle.index.errors import IndexFault
from aisle.index.gate import Finding, Side, inspect
from aisle.index.lease import unused
from aisle.index.pointer import Pointer, Publication
from aisle.index.rebuild_settings import GateSettings
from aisle.index.settings import IndexSettings
from aisle.index.versions import Opened, Versions

log = logging.getLogger(__name__)


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


def publish(
    versions: Versions,
    name: str,
    settings: IndexSettings,
    gate: GateSettings,
    *,
    force: bool = False,
    why: str = "",
) -> Publication:
    """Have the gate look at a version and make it the live one.

    Args:
        versions: of the index.
        name: the version.
        settings: where to search.
        gate: thresholds.
        force: publish it although it fails the gate; who did, and what failed, is recorded.
        why: the reason for that.

    Raises:
        GateFault: it fails the gate.
        IndexFault: it is damaged or not there, or the pointer is damaged.
    """
    before = versions.pointer()
    findings = _inspect(versions, name, settings, gate, before)
    failed = [finding.check for finding in findings if not finding.passed]
    if failed and not force:
        raise GateFault(name, findings)
    return _point(versions, name, before, "publish", findings=findings, failed=failed, why=why)


def rollback(versions: Versions, name: str | None = None) -> Publication:
    """Make an earlier version live again.

    Args:
        versions: of the index.
        name: a version that was published once; None: the newest of them that is older than the live one.

    Raises:
        IndexFault: there is none, it was never published, or it is damaged.
    """
    before = versions.pointer()
    if before is None:
        raise IndexFault("a published version", f"none in {versions.storage}", "publish one first")
    there = set(versions.names())
    served = {publication.version for publication in before.publications}
    earlier = sorted(one for one in there & served if one < before.version)
    if name is None and not earlier:
        found = f"{before.version} is the oldest of those that were published and are still there"
        raise IndexFault("an earlier version", found, "keep more versions (rebuild.keep)")
    chosen = versions.known(name or earlier[-1])
    if chosen not in served:
        fix = f"let the gate look at it: `aisle index publish {chosen}`"
        raise IndexFault("a version that was live once", f"{chosen} never was", fix)
    delta = before.delta_of(chosen)
    for part in filter(None, (chosen, delta)):
        _, damage = versions.look(part, "all")
        if damage:
            raise IndexFault(f"a sound version {chosen}", f"{part}: {damage}", "take another one, or rebuild")
    return _point(versions, chosen, before, "rollback", delta=delta)


def point_to_delta(versions: Versions, version: str, delta: str) -> Publication:
    """Serve changes with the live version.

    Raises:
        IndexFault: another version is live meanwhile.
    """
    before = versions.pointer()
    if before is None or before.version != version:
        found = "none" if before is None else before.version
        raise IndexFault(f"{version} as the live version", found, "start the update again")
    return _point(versions, version, before, "update", delta=delta)


def collect(versions: Versions, keep: int) -> list[str]:
    """Remove old versions and folders that never became one.

    What stays: the live version, the newest `keep - 1` others that were published once, a newer one
    that was never published, and what a reader of this machine has open.

    Returns:
        Names of the versions that were removed.

    Raises:
        IndexFault: the pointer is damaged: then nothing is removed.
    """
    found = versions.pointer()
    names = versions.names()
    live = None if found is None else found.version
    for name in set(versions.storage.folders()) - {*names, live}:
        versions.storage.drop(name)
    served = {one.version for one in found.publications} if found is not None else set()
    once = [name for name in names if name in served and name != live]
    never = [name for name in names if name not in served]
    waiting = [name for name in never[-1:] if live is None or name > live]
    old = sorted({*once[: max(0, len(once) - (keep - 1))], *never} - {*waiting})
    gone = [name for name in old if _dropped(versions, name)]
    used = (
        {found.delta_of(name) for name in {*names, found.version} - {*gone}} if found is not None else set()
    )
    for name in set(versions.storage.deltas()) - used:
        _dropped(versions, name)
    return gone


def _dropped(versions: Versions, name: str) -> bool:
    with unused(versions.storage.place_of(name) / NAME) as free:
        if free:
            versions.storage.drop(name)
        else:
            log.info("%s is being read: it stays for now", name)
        return free


def _inspect(
    versions: Versions, name: str, settings: IndexSettings, gate: GateSettings, before: Pointer | None
) -> list[Finding]:
    with closing(versions.open(settings, version=name)) as fresh:
        if before is None or before.version == name:
            return inspect(_side(fresh), None, gate)
        served = _served(versions, name, settings, before)
        with closing(served) if served is not None else nullcontext():
            return inspect(_side(fresh), None if served is None else _side(served), gate)


def _served(versions: Versions, name: str, settings: IndexSettings, before: Pointer) -> Opened | None:
    """What is served, with its changes; where it is damaged, the newest sound one that was, but `name`."""
    earlier = {one.version for one in before.publications} & set(versions.names()) - {name, before.version}
    for version in (None, *sorted(earlier, reverse=True)):
        try:
            return versions.open(settings, version=version)
        except IndexFault as fault:
            log.warning("%s cannot be compared with: %s", version or "the live version", fault.found)
    return None


def _point(
    versions: Versions,
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
    versions.storage.write(pointers.NAME, after.sealed().content())
    return publication


def _side(opened: Opened) -> Side:
    stored = opened.stored
    return Side(stored.index, stored.ids.series(), stored.vectors, stored.description.metric, stored.rows)
