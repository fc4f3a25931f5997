"""A stage: one step from folders to a folder, and what came of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from aisle.durable import remove
from aisle.manifest import Manifest


@dataclass(frozen=True)
class Folders:
    """Where a stage reads and writes.

    Attributes:
        out: holds what a killed try of the same fingerprint left; at the end, all in it is the result.
        work: for scratch files, kept between tries, removed when the stage is done.
        inputs: the folders of the stages it reads, by name.
        logs: for those who watch; not part of the result.
    """

    out: Path
    work: Path
    inputs: Mapping[str, Path]
    logs: Path

    def keep(self, *names: str) -> None:
        """Move files or folders from the scratch folder into the result."""
        for name in names:
            remove(self.out / name)
            (self.work / name).rename(self.out / name)


@dataclass(frozen=True)
class Stage:
    """One step from folders to a folder.

    Attributes:
        name: of the step, and of its folder.
        run: does the work.
        reads: names of the stages whose folders it reads.
        sources: digests of what it reads from outside, by name.
        settings: what bears on the result, as JSON can hold it.
        seed: of everything random in it.
        components: folders of aisle's source that it uses.
        quotes: whether the result says how the stages it reads were made: their settings and seeds.
    """

    name: str
    run: Callable[[Folders], None]
    reads: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    components: tuple[str, ...] = ()
    quotes: bool = False


@dataclass(frozen=True)
class Done:
    """A stage whose folder is whole."""

    folder: Path
    manifest: Manifest
    status: Literal["ran", "unchanged"]

    def outcome(self) -> str:
        """How it went, in a few words."""
        if self.status == "unchanged":
            return f"unchanged since {self.manifest.finished}"
        memory = f"{self.manifest.peak_memory / 2**20:,.0f} MiB"
        return f"done in {self.manifest.seconds:,.1f} s, peak memory {memory}"

    def facts(self) -> dict[str, str | float]:
        """The same and more, for machines."""
        return {
            "folder": str(self.folder),
            "status": self.status,
            "fingerprint": self.manifest.fingerprint,
            "digest": self.manifest.digest,
            "seconds": self.manifest.seconds,
            "peak_memory": self.manifest.peak_memory,
        }
