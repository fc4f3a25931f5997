"""One writer at a time at a URL: a claim that ends on its own unless its holder renews it.

    <place>/.claim/<number>   who writes there, and until when

Object stores have no locks. What they have is an object that is written only where there is none. A claim is
one; whoever finds that the last one has ended writes the next number, and one of several who try does. A
holder looks whether its claim still stands before each change that others would notice.

A claim ends `LASTS` seconds after it was last renewed, by the clocks of the machines that write, which may
differ by `MARGIN`. Other processes of the holder's machine need not wait: the lock there, which they hold,
tells that it is dead (:meth:`aisle.index.versions.Versions.writing`).
"""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from threading import Event, Thread
from typing import Any
from uuid import uuid4

from aisle.durable import write_whole
from aisle.index.errors import IndexFault
from aisle.index.pointer import whoever

FOLDER = ".claim"

LASTS = 300.0
"""Seconds that a claim stands after it was renewed."""

RENEWED = 60.0
"""Seconds after which it is renewed."""

MARGIN = 60.0
"""Seconds before its end from which on its holder does not rely on it."""


class Claim:
    """The right to write at a place, from `take` to `release`.

    Args:
        files: fsspec's file system.
        root: the place in it.
        work: folder of this machine that belongs to the place; its lock is held.
    """

    def __init__(self, files: Any, root: str, work: Path) -> None:
        self._files = files
        self._folder = f"{root.rstrip('/')}/{FOLDER}"
        self._machine = machine_of(work)
        self._token = uuid4().hex
        self._number = 0
        self._sure_until = 0.0
        self._done = Event()
        self._renewing = Thread(target=self._renew, daemon=True)

    def take(self) -> None:
        """Claim the place, and go on renewing.

        Raises:
            IndexFault: another writer's claim stands.
        """
        claims = self._claims()
        self._refuse(claims)
        self._number = max(claims, default=0) + 1
        self._files.makedirs(self._folder, exist_ok=True)
        try:
            self._write(mode="create")
        except FileExistsError:
            raise self._taken("a writer who was quicker") from None
        claims = self._claims()
        if not self._is_mine(claims):  # a store that writes although something is there
            raise self._taken("a writer who was quicker")
        del claims[self._number]
        try:
            self._refuse(claims)  # two who saw different numbers: neither writes
        except IndexFault:
            self._remove(self._number)
            raise
        for number in claims:
            self._remove(number)
        self._renewing.start()

    def check(self) -> None:
        """Whether it still stands.

        Raises:
            IndexFault: it has ended, and somebody else may be writing.
        """
        if time.monotonic() > self._sure_until or not self._stands(self._claims()):
            found = "this job stood still for so long that it ended"
            raise IndexFault(f"the claim to write at {self._folder}", found, "start the job again")

    def release(self) -> None:
        """Let others write."""
        self._done.set()
        self._renewing.join()
        if self._is_mine(self._claims()):
            self._remove(self._number)

    def _renew(self) -> None:
        while not self._done.wait(RENEWED):
            try:
                self.check()
                self._write()
            except Exception:  # the store does not answer, or it is lost: `check` will tell
                continue

    def _write(self, mode: str = "overwrite") -> None:
        now = time.monotonic()
        said = {
            "by": whoever(),
            "machine": self._machine,
            "token": self._token,
            "until": time.time() + LASTS,
        }
        self._files.pipe_file(self._at(self._number), json.dumps(said).encode(), mode=mode)
        self._sure_until = now + LASTS - MARGIN

    def _claims(self) -> dict[int, Mapping[str, Any]]:
        """All claims by number; one that cannot be read says nothing."""
        self._files.invalidate_cache()
        try:
            names = [str(path).rpartition("/")[2] for path in self._files.ls(self._folder, detail=False)]
        except FileNotFoundError:
            return {}
        found: dict[int, Mapping[str, Any]] = {}
        for number in sorted(int(name) for name in names if name.isdigit()):
            try:
                said = json.loads(self._files.cat_file(self._at(number)))
                found[number] = said if isinstance(said, dict) else {}
            except FileNotFoundError:  # released meanwhile
                continue
            except ValueError:
                found[number] = {}
        return found

    def _stands(self, claims: Mapping[int, Mapping[str, Any]]) -> bool:
        return self._is_mine(claims) and self._number == max(claims)

    def _is_mine(self, claims: Mapping[int, Mapping[str, Any]]) -> bool:
        return claims.get(self._number, {}).get("token") == self._token

    def _refuse(self, claims: Mapping[int, Mapping[str, Any]]) -> None:
        for said in claims.values():
            until = said.get("until", 0.0)
            if said.get("machine") != self._machine and isinstance(until, float) and until > time.time():
                left = max(1, round(until - time.time()))
                raise self._taken(f"{said.get('by')}, whose claim ends in {left} s unless it is renewed")

    def _taken(self, found: str) -> IndexFault:
        return IndexFault(f"a place where nobody else is writing: {self._folder}", found, "wait")

    def _remove(self, number: int) -> None:
        try:
            self._files.rm_file(self._at(number))
        except FileNotFoundError:
            return

    def _at(self, number: int) -> str:
        return f"{self._folder}/{number}"


def machine_of(work: Path) -> str:
    """A name for what this machine keeps of a place, the same for all of its processes."""
    path = work / ".machine"
    if not path.is_file():
        write_whole(path, uuid4().hex)
    return path.read_text()
