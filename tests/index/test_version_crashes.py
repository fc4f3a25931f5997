"""Jobs on a served index, killed at any moment: a reader opens a whole version, and the next run finishes."""

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from planted_index import circle

from aisle.index.rebuild import Step
from aisle.index.settings import IndexSettings
from aisle.index.versions import Versions

WORLD = Path(__file__).with_name("version_crashes.py")
CPU = IndexSettings(device="cpu")
ITEMS = 24
Attempt = Callable[..., str]


@pytest.fixture(scope="module")
def attempt() -> Iterator[Attempt]:
    """Does a job in a process of its own; "killed", "finished" or "failed"."""
    world = subprocess.Popen(
        [sys.executable, str(WORLD)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def ask(place: Path, job: str, changed: int = 0, **more: object) -> str:
        assert world.stdin is not None
        assert world.stdout is not None
        command = {"place": str(place), "job": job, "changed": changed, **more}
        world.stdin.write(json.dumps(command) + "\n")
        world.stdin.flush()
        return world.stdout.readline().strip()

    yield ask
    world.communicate()


def served(place: Path) -> int:
    """How many items of the live version differ from the first catalogue: it is whole, or this fails."""
    opened = Versions(place).open(CPU, model="angles")
    try:
        changed = opened.stored.description.counts["changed"]
        wanted = circle(ITEMS, changed)
        np.testing.assert_array_equal(opened.stored.vectors, wanted.encode(list(wanted.texts)))
        np.testing.assert_array_equal(opened.stored.index.vectors, opened.stored.vectors)
        assert opened.stored.ids.series().to_list() == wanted.ids.to_list()
        return changed
    finally:
        opened.close()


def clean(place: Path) -> bool:
    """Whether `verify` finds nothing."""
    return all(one.damage is None for one in Versions(place).listing(check="all"))


@pytest.fixture(scope="module")
def old(attempt: Attempt, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index with two published versions, 0 and then 1 item changed."""
    place = tmp_path_factory.mktemp("old") / "index"
    assert attempt(place, "rebuild", 0) == "finished"
    assert attempt(place, "rebuild", 1) == "finished"
    return place


def copied(old: Path, place: Path) -> Path:
    shutil.copytree(old, place)
    return place


@pytest.mark.parametrize("step", get_args(Step))
def test_a_kill_at_each_step_of_a_rebuild(attempt: Attempt, old: Path, tmp_path: Path, step: str) -> None:
    place = copied(old, tmp_path / "index")
    assert attempt(place, "rebuild", 2, kill_before=step) == "killed"
    assert served(place) == (2 if step == "collect" else 1)
    assert clean(place)
    assert attempt(place, "rebuild", 2) == "finished"
    assert served(place) == 2
    assert clean(place)


def test_the_first_rebuild_killed_at_each_step(attempt: Attempt, tmp_path: Path) -> None:
    for step in get_args(Step):
        place = tmp_path / step / "index"
        assert attempt(place, "rebuild", 3, kill_before=step) == "killed"
        assert attempt(place, "rebuild", 3) == "finished"
        assert served(place) == 3


@pytest.mark.parametrize(
    ("job", "changed", "after"),
    [
        ("rebuild", 2, {1, 2}),
        ("update", 3, {1, 3}),
        ("compact", 0, {1}),
        ("rollback", 0, {1, 0}),
        ("publish", 0, {1, 0}),
        ("gc", 0, {1}),
    ],
)
@pytest.mark.parametrize("every", [5, pytest.param(1, marks=pytest.mark.torture)])
def test_a_kill_before_any_change(
    attempt: Attempt, old: Path, tmp_path: Path, job: str, changed: int, after: set[int], every: int
) -> None:
    for number in range(1, 200, every):
        place = copied(old, tmp_path / str(number))
        outcome = attempt(place, job, changed, kill_at=number)
        assert served(place) in after
        assert clean(place)
        assert attempt(place, "rebuild", 2) == "finished"
        assert served(place) == 2
        assert attempt(place, "gc") == "finished"
        assert len(Versions(place).names()) == 1
        shutil.rmtree(place)
        if outcome == "finished":
            return
        assert outcome == "killed"
    pytest.fail("the job makes more than 200 changes")


@pytest.mark.parametrize("kills", [25, pytest.param(200, marks=pytest.mark.torture)])
def test_kills_at_random_times(attempt: Attempt, tmp_path: Path, kills: int) -> None:
    """One index lives through all kills, of all jobs."""
    chance = random.Random(7)
    place = tmp_path / "index"
    assert attempt(place, "rebuild", 0) == "finished"
    outcomes = []
    changed = 0
    for number in range(kills):
        job = chance.choice(["rebuild"] * 3 + ["update"] * 2 + ["compact", "publish", "rollback", "gc"])
        if job in ("rebuild", "update"):
            changed = number % (ITEMS - 1) + 1
        outcomes.append(
            attempt(place, job, changed, kill_after=chance.uniform(0, 0.15), encode=chance.choice([0, 0.02]))
        )
        served(place)
        assert clean(place)
    assert outcomes.count("killed") > kills // 3
    assert attempt(place, "rebuild", 5) == "finished"
    assert served(place) == 5
    assert attempt(place, "gc") == "finished"
    assert len(Versions(place).names()) == 1
    assert {path.name for path in place.iterdir()} == {
        *Versions(place).names(),
        "live.json",
        "cache",
        ".lock",
    }
