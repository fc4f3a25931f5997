"""`live.json`: which version is served, and who published what before it; replaced by one rename."""

import getpass
import hashlib
import platform
from collections.abc import Sequence
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from aisle.index.errors import IndexFault
from aisle.index.gate import Finding

NAME = "live.json"
FORMAT = 1

REMEMBERED = 200
"""Publications that the pointer lists. Of more, updates of a version that was updated again go first."""


class Publication(BaseModel):
    """That a version went live."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: str
    delta: str = Field(default="", description="folder with the changes to it since it was built")
    at: str = Field(description="UTC, ISO 8601")
    by: str = Field(description="user@machine")
    how: str = Field(description="publish, rollback or update")
    checks: tuple[Finding, ...] = Field(default=(), description="what the gate measured")
    overridden: tuple[str, ...] = Field(default=(), description="checks that failed and were overridden")
    why: str = Field(default="", description="reason given for the override")


class Pointer(BaseModel):
    """The live version and its predecessors, oldest first; the last publication is the live one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int = FORMAT
    publications: tuple[Publication, ...] = Field(min_length=1)
    seal: str = Field(default="", description="SHA-256 over everything above, as compact JSON")

    @property
    def version(self) -> str:
        """The live version."""
        return self.publications[-1].version

    @property
    def delta(self) -> str:
        """Folder with the changes to the live version; empty where there are none."""
        return self.publications[-1].delta

    def delta_of(self, version: str) -> str:
        """The last changes to a version."""
        found = (one.delta for one in reversed(self.publications) if one.version == version)
        return next(found, "")

    @property
    def checksum(self) -> str:
        """What `seal` must be."""
        return hashlib.sha256(self.model_dump_json(exclude={"seal"}).encode()).hexdigest()

    def sealed(self) -> "Pointer":
        """The same with its seal."""
        return self.model_copy(update={"seal": self.checksum})

    def content(self) -> bytes:
        """The file, to the byte."""
        return (self.model_dump_json(indent=1) + "\n").encode()

    @classmethod
    def parse(cls, content: bytes, where: str) -> "Pointer":
        """Read the :meth:`content` of a sealed one.

        Raises:
            IndexFault: it is damaged, or of another format.
        """
        try:
            found = cls.model_validate_json(content)
        except ValidationError as error:
            said = "; ".join(str(error).splitlines()[:3])
            raise _damaged(where, said) from None
        if found.format != FORMAT:
            raise IndexFault(
                f"{NAME} of format {FORMAT}", f"{where}: format {found.format}", "use the aisle that wrote it"
            )
        if found.seal != found.checksum or found.content() != content:
            raise _damaged(where, "its content does not fit its seal")
        return found

    def then(self, publication: Publication) -> "Pointer":
        """The pointer after one more publication."""
        publications = [*self.publications, publication]
        while len(publications) > REMEMBERED:
            del publications[_least(publications)]
        return Pointer(publications=tuple(publications))


def _least(publications: Sequence[Publication]) -> int:
    """Place of what matters least: the oldest update with a later one of its version, else the oldest."""
    last = {one.version: place for place, one in enumerate(publications)}
    again = (
        place for place, one in enumerate(publications) if one.how == "update" and place != last[one.version]
    )
    return next(again, 0)


def _damaged(where: str, said: str) -> IndexFault:
    fix = f"remove it and publish a version again: `aisle index publish VERSION --index {where}`"
    return IndexFault(f"{NAME} as it was written", f"{where}: {said}", fix)


def whoever() -> str:
    """Who this process works for: user@machine."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user need not have a name
        user = "unknown"
    return f"{user}@{platform.node()}"


def now() -> str:
    """This moment, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
