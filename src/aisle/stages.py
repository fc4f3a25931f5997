"""Stage folders: done once, skipped while nothing changed, continued after a kill.

A stage writes into `<out>/.partial/<stage>-<fingerprint>/`. When its function returns, every file is brought
to the disk, `manifest.json` is written last, and the folder takes the place of `<out>/<stage>/`:

1. the whole folder and the old one swap names (Linux), or the old one is moved to `.partial/<stage>.old` and
   then the whole one to its place;
2. what was displaced, and what unfinished runs with other settings left, is removed. Files in the displaced
   folder that aisle did not write move into the new one.

Killed between any two steps, `<out>/<stage>/` is whole, old or new, or (without the one-step swap) the old
one is at `.partial/<stage>.old`; `whole_folder` looks there too, and the next run goes on from what it finds.
A stage that is done again although nothing changed (`redo`) notes in `.partial/<stage>-<fingerprint>.redo`
which folder it replaces: until that one is displaced, the next run goes on with the redo, asked to or not.

The fingerprint covers the content of the inputs, the settings that bear on the stage, the seed and aisle's
version: a nightly job repeats exactly what new data, new settings or an upgrade make necessary. It does not
cover the source code between two versions: whoever edits a docstring must not lose an hour of training. The
manifest records the source's checksum instead, and a stage kept from other source is named in a warning;
`redo` runs it again. Inputs enter with their content, not their own fingerprints: a stage done again with
an equal result costs the later ones nothing, and one done again with another result is noticed.
"""

import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib import metadata
from json import dumps
from pathlib import Path

from aisle import memory
from aisle.checksum import file_sha256
from aisle.data.errors import InputError
from aisle.durable import exchange, move, remove, sync_tree
from aisle.manifest import Manifest, checksums
from aisle.provenance import digest_of, source_digest, versions
from aisle.stage import Done, Folders, Stage

LOG = logging.getLogger(__name__)


class Workshop:
    """The stages below one `--out`; whoever runs stages holds its lock (`aisle.lock.locked`).

    Args:
        out: folder that holds the stages' folders.
        swap: exchanges two folders in one step, or returns False where that is not possible.
    """

    def __init__(self, out: Path, *, swap: Callable[[Path, Path], bool] = exchange) -> None:
        self.out = out
        self._swap = swap
        self._partial = out / ".partial"
        self._checked: dict[str, Manifest] = {}

    def run(self, stage: Stage, *, redo: bool = False) -> Done:
        """Bring `<out>/<stage>/` up to date; a whole folder of the same fingerprint is kept, unless `redo`.

        Raises:
            InputError: an input is not there or damaged, or the stage's place is taken by something else.
        """
        self._recover(stage.name)
        inputs = {name: _read(self.input(name), stage) for name in stage.reads} | dict(stage.sources)
        fingerprint = _fingerprint(stage, inputs)
        folder = self.out / stage.name
        partial = self._partial / f"{stage.name}-{fingerprint[:12]}"
        self._refuse_foreign(folder)
        going_on = self._redo_of(partial) == _manifest_digest(folder)
        kept = None if redo or going_on else self._kept(stage, fingerprint)
        if kept is not None:
            self._sweep(stage.name, f"{partial.name}*")
            return Done(folder, kept, "unchanged")
        if redo and not going_on:
            self._begin_redo(stage.name, partial)
        manifest = self._finished(partial)
        if manifest is None:
            if (partial / "manifest.json").exists():
                self._discard(stage.name, partial)
            manifest = self._work(stage, partial, fingerprint, inputs)
        self._put_in_place(partial, folder)
        self._checked[stage.name] = manifest
        self._sweep(stage.name, f"{stage.name}-*")
        return Done(folder, manifest, "ran")

    def input(self, name: str) -> Manifest:
        """The manifest of a stage that is about to be read, with every file of it checked (once a process).

        Raises:
            InputError: the stage has not been done, or a file of it is not what was written.
        """
        if name not in self._checked:
            self._recover(name)
            folder = whole_folder(self.out, name)
            manifest = Manifest.read(folder)
            again = f"run `aisle {name}` (or `aisle run`) again"
            if manifest is None:
                raise InputError(f"the result of `aisle {name}`", f"a damaged manifest in {folder}", again)
            self._warn_of_unlisted(name, manifest)
            if damage := manifest.damage(folder):
                raise InputError(f"the files that `aisle {name}` wrote", f"{folder}: {damage}", again)
            self._checked[name] = manifest
        return self._checked[name]

    def _refuse_foreign(self, folder: Path) -> None:
        if folder.exists() and not (folder / "manifest.json").exists():
            raise InputError(
                f"an output folder that aisle wrote, or a new one: {self.out}",
                f"{folder}, which aisle did not write",
                "choose another --out, or move that folder away",
            )

    def _kept(self, stage: Stage, fingerprint: str) -> Manifest | None:
        """The manifest of the stage's folder if the folder can stay."""
        folder = self.out / stage.name
        if not folder.exists():
            return None
        manifest = Manifest.read(folder)
        if manifest is None:
            LOG.warning("%s: its manifest is damaged; doing the stage again", stage.name)
            return None
        if manifest.fingerprint != fingerprint:
            return None
        if stage.name not in self._checked and (damage := manifest.damage(folder)):
            LOG.warning("%s: %s since it was written; doing the stage again", stage.name, damage)
            return None
        if stage.name not in self._checked:
            self._warn_of_unlisted(stage.name, manifest)
        if manifest.code != source_digest(stage.components):
            LOG.warning("%s: kept from other source code; --redo does it again", stage.name)
        self._checked[stage.name] = manifest
        return manifest

    def _warn_of_unlisted(self, name: str, manifest: Manifest) -> None:
        if unlisted := manifest.unlisted(whole_folder(self.out, name)):
            LOG.warning("%s: not written by aisle, and left where it is: %s", name, ", ".join(unlisted))

    def _begin_redo(self, name: str, partial: Path) -> None:
        """Forget earlier tries, and note which folder is going to be replaced."""
        for left in (partial, _scratch(partial)):
            self._discard(name, left)
        self._partial.mkdir(exist_ok=True)
        _redo_note(partial).write_text(_manifest_digest(self.out / name))

    def _redo_of(self, partial: Path) -> str | None:
        """Digest of the manifest that an unfinished redo is going to replace; None where there is none."""
        try:
            return _redo_note(partial).read_text()
        except FileNotFoundError:
            return None

    def _work(self, stage: Stage, partial: Path, fingerprint: str, inputs: dict[str, str]) -> Manifest:
        scratch = _scratch(partial)
        resumed = any(place.exists() and any(place.iterdir()) for place in (partial, scratch))
        for folder in (partial, scratch):
            folder.mkdir(parents=True, exist_ok=True)
        started = time.monotonic()
        memory.reset_peak()
        inputs_of = {name: self.out / name for name in stage.reads}
        stage.run(Folders(partial, scratch, inputs_of, self.out / "logs" / partial.name))
        seconds, peak = time.monotonic() - started, memory.peak()
        sync_tree(partial)
        manifest = Manifest(
            stage=stage.name,
            fingerprint=fingerprint,
            inputs=inputs,
            settings=dict(stage.settings),
            seed=stage.seed,
            versions=versions(),
            code=source_digest(stage.components),
            finished=datetime.now(UTC).isoformat(timespec="seconds"),
            seconds=round(seconds, 3),
            resumed=resumed,
            peak_memory=peak,
            files=checksums(partial),
        )
        return manifest.write(partial)

    def _put_in_place(self, partial: Path, folder: Path) -> None:
        old = self._old(folder.name)
        if not folder.exists():
            move(partial, folder)
        elif self._swap(partial, folder):
            move(partial, old)
        else:
            move(folder, old)
            move(partial, folder)

    def _recover(self, name: str) -> None:
        """Finish or undo a swap that was cut off, and remove what a cut-off sweep left."""
        folder, old = self.out / name, self._old(name)
        if old.exists() and not folder.exists():
            move(old, folder)
        self._discard(name, old)
        for partial in sorted(self._partial.glob(f"{name}-*")):
            manifest = Manifest.read(partial)
            if manifest is not None and not partial.name.endswith(manifest.fingerprint[:12]):
                self._discard(name, partial)  # the old folder, swapped out but not yet moved on
        for trash in sorted(self._partial.glob(f"{name}.trash-*")):
            remove(trash)

    def _sweep(self, name: str, unfinished: str) -> None:
        """Remove what was displaced, and the unfinished and scratch folders that match a pattern."""
        for left in (self._old(name), *sorted(self._partial.glob(unfinished))):
            self._discard(name, left)
        if self._partial.exists() and not any(self._partial.iterdir()):
            self._partial.rmdir()

    def _discard(self, name: str, path: Path) -> None:
        """Remove in two steps, so that no half of a folder is ever taken for an unfinished one."""
        if path.exists():
            self._rescue(name, path)
            trash = self._partial / f"{name}.trash-{time.time_ns()}"
            path.rename(trash)
            remove(trash)

    def _rescue(self, name: str, displaced: Path) -> None:
        """Move what aisle did not write from a displaced folder into the stage's present one.

        Where the displaced folder's manifest is damaged, files that the present one lacks are taken for such.
        """
        folder = self.out / name
        present = Manifest.read(folder)
        if present is None or not (displaced / "manifest.json").exists():
            return
        for file in (Manifest.read(displaced) or present).unlisted(displaced):
            target = folder / file
            while target.exists():
                target = target.with_name(f"{target.name}.old")
            target.parent.mkdir(parents=True, exist_ok=True)
            (displaced / file).rename(target)
            LOG.warning("%s: %s was not written by aisle; it is now %s", name, file, target)

    def _old(self, name: str) -> Path:
        return self._partial / f"{name}.old"

    @staticmethod
    def _finished(partial: Path) -> Manifest | None:
        """The manifest of a whole folder that was not yet put in its place."""
        manifest = Manifest.read(partial)
        return None if manifest is None or manifest.damage(partial) else manifest


def whole_folder(out: Path, name: str) -> Path:
    """Folder with the whole result of a stage; needs no lock.

    Raises:
        InputError: the stage has not been done.
    """
    for folder in (out / name, out / ".partial" / f"{name}.old"):
        if (folder / "manifest.json").exists():
            return folder
    raise InputError(
        f"the result of `aisle {name}` in {out}",
        f"no {out / name / 'manifest.json'}",
        f"run `aisle {name}` or `aisle run` first, with the same --out",
    )


def _scratch(partial: Path) -> Path:
    """Where the scratch files of an unfinished stage are."""
    return partial.with_name(f"{partial.name}.work")


def _redo_note(partial: Path) -> Path:
    """Where it stands that an unfinished stage is a redo."""
    return partial.with_name(f"{partial.name}.redo")


def _manifest_digest(folder: Path) -> str:
    """SHA-256 of a folder's manifest, readable or not; "" where there is none."""
    path = folder / "manifest.json"
    return file_sha256(path) if path.is_file() else ""


def _read(manifest: Manifest, stage: Stage) -> str:
    """Digest of what a stage takes from an earlier one: its files and, to be quoted, how they were made."""
    if not stage.quotes:
        return manifest.digest
    made = dumps(manifest.settings, sort_keys=True)
    return digest_of({"files": manifest.digest, "settings": made, "seed": manifest.seed})


def _fingerprint(stage: Stage, inputs: Mapping[str, str]) -> str:
    said = {
        "stage": stage.name,
        "inputs": inputs,
        "settings": stage.settings,
        "seed": stage.seed,
        "aisle": metadata.version("aisle"),
    }
    return digest_of({name: dumps(value, sort_keys=True) for name, value in said.items()})
