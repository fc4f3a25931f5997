"""Killed at any moment: what was whole before can still be read, and the next run finishes."""

import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aisle.manifest import Manifest
from aisle.stages import whole_folder

WORLD = Path(__file__).with_name("crash_world.py")
Attempt = Callable[..., str]


@pytest.fixture(scope="module")
def attempt() -> Iterator[Attempt]:
    """Runs the stages of `crash_world` in a process of their own; "killed", "finished" or "failed"."""
    world = subprocess.Popen(
        [sys.executable, str(WORLD)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def ask(
        out: Path,
        generation: str,
        *,
        kill_at: int | None = None,
        kill_after: float | None = None,
        swap: bool = True,
        redo: bool = False,
    ) -> str:
        command = {"out": str(out), "generation": generation, "kill_at": kill_at, "kill_after": kill_after}
        assert world.stdin is not None
        assert world.stdout is not None
        world.stdin.write(json.dumps(command | {"swap": swap, "redo": redo}) + "\n")
        world.stdin.flush()
        return world.stdout.readline().strip()

    yield ask
    world.communicate()


def generation(out: Path, stage: str) -> str:
    """The one generation of which all of a stage's files are, every checksum verified."""
    folder = whole_folder(out, stage)
    manifest = Manifest.read(folder)
    assert manifest is not None
    assert manifest.damage(folder) is None
    values = {path.read_text() for path in folder.rglob("value.txt")}
    assert len(manifest.files) == 3
    assert len(values) == 1
    return values.pop().split()[1]


def leftovers(out: Path) -> list[str]:
    return sorted(path.name for path in out.iterdir() if path.name not in {"first", "second", ".lock"})


@pytest.mark.parametrize("swap", [True, False], ids=["one-step swap", "two renames"])
def test_a_kill_before_any_change_leaves_the_old_or_the_new(
    attempt: Attempt, tmp_path: Path, swap: bool
) -> None:
    kills = 0
    while True:
        out = tmp_path / str(kills)
        assert attempt(out, "old", swap=swap) == "finished"
        outcome = attempt(out, "new", kill_at=kills + 1, swap=swap)
        assert {generation(out, "first"), generation(out, "second")} <= {"old", "new"}
        assert attempt(out, "new", swap=swap) == "finished"
        assert (generation(out, "first"), generation(out, "second")) == ("new", "new")
        assert leftovers(out) == []
        if outcome == "finished":
            break
        assert outcome == "killed"
        kills += 1
    assert kills > 30


def test_a_killed_first_run_continues(attempt: Attempt, tmp_path: Path) -> None:
    for number in range(1, 100):
        out = tmp_path / str(number)
        outcome = attempt(out, "new", kill_at=number)
        assert attempt(out, "new") == "finished"
        assert (generation(out, "first"), generation(out, "second")) == ("new", "new")
        assert leftovers(out) == []
        if outcome == "finished":
            return
    pytest.fail("the stages make more than 100 changes")


@pytest.mark.parametrize("swap", [True, False], ids=["one-step swap", "two renames"])
def test_a_killed_redo_is_finished_by_the_next_run(attempt: Attempt, tmp_path: Path, swap: bool) -> None:
    """And somebody's note in the folder is there whenever the kill came."""
    for number in range(1, 150):
        out = tmp_path / str(number)
        assert attempt(out, "same", swap=swap) == "finished"
        (out / "first" / "note.txt").write_text("mine")
        outcome = attempt(out, "same", kill_at=number, swap=swap, redo=True)
        assert (generation(out, "first"), generation(out, "second")) == ("same", "same")
        assert attempt(out, "same", swap=swap) == "finished"
        assert (out / "first" / "note.txt").read_text() == "mine"
        assert leftovers(out) == []
        if outcome == "finished":
            return
    pytest.fail("the stages make more than 150 changes")


@pytest.mark.parametrize("kills", [30, pytest.param(200, marks=pytest.mark.slow)])
def test_kills_at_random_times(attempt: Attempt, tmp_path: Path, kills: int) -> None:
    """One output folder lives through all kills, each in a run with new settings."""
    chance = random.Random(7)
    assert attempt(tmp_path, "0") == "finished"
    outcomes = []
    whole = {"0"}
    for number in range(1, kills + 1):
        outcomes.append(attempt(tmp_path, str(number), kill_after=chance.uniform(0, 0.04)))
        found = {generation(tmp_path, "first"), generation(tmp_path, "second")}
        assert found <= whole | {str(number)}
        whole = found
    assert outcomes.count("killed") > kills // 3
    assert attempt(tmp_path, "last") == "finished"
    assert (generation(tmp_path, "first"), generation(tmp_path, "second")) == ("last", "last")
    assert leftovers(tmp_path) == []
