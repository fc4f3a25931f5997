"""What a stage's folder says about itself: where it comes from, and the checksum of every file."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from aisle.checksum import file_sha256, size_damage
from aisle.data.progress import meter
from aisle.durable import unfinished, write_whole
from aisle.provenance import digest_of

NAME = "manifest.json"


class FileEntry(BaseModel):
    """One file of a folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: int = Field(description="bytes")
    sha256: str = Field(description="of the content")


class Manifest(BaseModel):
    """`manifest.json`: written last, so that a folder that has one is whole."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stage: str
    fingerprint: str = Field(description="SHA-256 over inputs, settings, seed and aisle's version")
    inputs: dict[str, str] = Field(description="name of each input and the digest of its content")
    settings: dict[str, Any] = Field(description="the settings that bear on the stage")
    seed: int
    versions: dict[str, str] = Field(description="aisle, Python and the libraries at work")
    code: str = Field(description="SHA-256 over aisle's source; not part of the fingerprint")
    finished: str = Field(description="UTC, ISO 8601")
    seconds: float = Field(description="of the process that finished the stage")
    resumed: bool = Field(description="whether an earlier, killed process had done a part")
    peak_memory: int = Field(description="largest resident memory of the process during the stage, bytes")
    files: dict[str, FileEntry] = Field(description="every file, by its path below the folder")
    seal: str = Field("", description="SHA-256 over everything above, as compact JSON")

    @property
    def digest(self) -> str:
        """SHA-256 over names and contents of the files: equal for equal results."""
        return digest_of({name: entry.sha256 for name, entry in self.files.items()})

    @property
    def _checksum(self) -> str:
        return hashlib.sha256(self.model_dump_json(exclude={"seal"}).encode()).hexdigest()

    def write(self, folder: Path) -> "Manifest":
        """Seal the manifest, write it into `folder`, whole or not at all, and return it."""
        sealed = self.model_copy(update={"seal": self._checksum})
        write_whole(folder / NAME, sealed.model_dump_json(indent=1) + "\n")
        return sealed

    @classmethod
    def read(cls, folder: Path) -> "Manifest | None":
        """The manifest of `folder`; None where there is none, or one that is not as it was written."""
        try:
            manifest = cls.model_validate_json((folder / NAME).read_bytes())
        except (FileNotFoundError, NotADirectoryError, ValidationError):
            return None
        return manifest if manifest.seal == manifest._checksum else None

    def damage(self, folder: Path) -> str | None:
        """What is wrong with the files of `folder`, by size and checksum; None where nothing is.

        Files that are not listed are no damage (:meth:`unlisted`).
        """
        if wrong := size_damage(folder, {name: entry.size for name, entry in self.files.items()}):
            return wrong
        found = checksums(folder, list(self.files))
        return next((f"{name} has changed" for name in found if found[name] != self.files[name]), None)

    def unlisted(self, folder: Path) -> list[str]:
        """Files of `folder` that aisle did not write there: somebody's notes, or what a file manager left."""
        return [name for name in _files(folder) if name not in self.files]


def checksums(folder: Path, names: Sequence[str] | None = None) -> dict[str, FileEntry]:
    """Size and SHA-256 of files below `folder`, by path: of `names`, or of all but the manifest, sorted."""
    entries = {}
    names = _files(folder) if names is None else names
    with meter(f"checking {folder.name}", sum((folder / name).stat().st_size for name in names)) as counter:
        for name in names:
            path = folder / name
            entries[name] = FileEntry(size=path.stat().st_size, sha256=file_sha256(path))
            counter.advance(entries[name].size)
    return entries


def _files(folder: Path) -> list[str]:
    """Paths of all files below `folder`, relative and sorted, without the manifest."""
    paths = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
    return sorted(path for path in paths if path not in (NAME, unfinished(Path(NAME)).name))
