"""`index.json`: what a folder with an index says about itself, sealed, with the checksum of every file."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from aisle.checksum import file_sha256, size_damage
from aisle.durable import write_whole
from aisle.index.errors import IndexFault

FORMAT = 2
"""Of the folder; a reader refuses newer ones."""

NAME = "index.json"

Check = Literal["all", "sizes"]
"""How much of a folder is compared before it is used: every byte, or the sizes of its files."""


class Entry(BaseModel):
    """One file of the folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: int = Field(ge=0, description="bytes")
    sha256: str = Field(description="of the content")


class Description(BaseModel):
    """What is in an index; written last, so that a folder that has one is whole."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int = FORMAT
    kind: str = Field(description="of the index")
    metric: str = Field(description="by which vectors are compared")
    items: int = Field(ge=1)
    dim: int = Field(ge=1, description="numbers of a vector")
    model: str = Field(description="fingerprint of what makes the queries")
    encoder: str = Field(default="", description="fingerprint of what made vectors of texts")
    data: str = Field(default="", description="SHA-256 over the ids and their texts")
    settings: dict[str, Any] = Field(default_factory=dict, description="of the index")
    counts: dict[str, int] = Field(default_factory=dict, description="rows read, rejected, encoded")
    files: dict[str, Entry] = Field(description="every other file, by its name")
    seal: str = Field(default="", description="SHA-256 over everything above, as compact JSON")

    @property
    def checksum(self) -> str:
        """What `seal` must be."""
        return hashlib.sha256(self.model_dump_json(exclude={"seal"}).encode()).hexdigest()

    def write(self, folder: Path) -> "Description":
        """Seal it, write it into `folder`, whole or not at all, and return it."""
        sealed = self.model_copy(update={"seal": self.checksum})
        write_whole(folder / NAME, sealed.content())
        return sealed

    def content(self) -> bytes:
        """The file, to the byte."""
        return (self.model_dump_json(indent=1) + "\n").encode()

    @classmethod
    def parse(cls, content: bytes, where: str) -> "Description":
        """Read what :meth:`write` wrote.

        Raises:
            IndexFault: it is damaged, or of another format.
        """
        try:
            version = _Format.model_validate_json(content).format
            if version == FORMAT:
                found = cls.model_validate_json(content)
                if found.seal == found.checksum and found.content() == content:
                    return found
                raise ValueError("its content does not fit its seal")
        except (ValidationError, ValueError) as error:
            said = "; ".join(str(error).splitlines()[:2])
            raise IndexFault(f"{NAME} as it was written", f"{where}: {said}", REBUILD) from None
        raise IndexFault(
            f"an index of format {FORMAT}",
            f"{where}: format {version}",
            "use the aisle that wrote it, or rebuild",
        )

    @classmethod
    def read(cls, folder: Path) -> "Description":
        """The description of a folder.

        Raises:
            FileNotFoundError: there is none.
            IndexFault: it is damaged, or of another format.
        """
        return cls.parse((folder / NAME).read_bytes(), str(folder))

    def damage(self, folder: Path, check: Check = "all") -> str | None:
        """What is wrong with the files; None where nothing is."""
        found = size_damage(folder, {name: entry.size for name, entry in self.files.items()})
        if found is None and check == "all":
            changed = (name for name in self.files if file_sha256(folder / name) != self.files[name].sha256)
            found = next((f"{name} has changed" for name in changed), None)
        return found


REBUILD = "rebuild the index"


class _Format(BaseModel):
    """The one field that every format has."""

    model_config = ConfigDict(strict=True)

    format: int


def entries(folder: Path) -> Mapping[str, Entry]:
    """Size and checksum of the files in a folder, by name, without its description."""
    return {
        path.name: Entry(size=path.stat().st_size, sha256=file_sha256(path))
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name != NAME and not path.name.startswith(".")
    }
