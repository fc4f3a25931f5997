"""Stage folders: when a stage runs, when it is kept, and what is refused."""

import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from aisle.data.errors import InputError
from aisle.durable import exchange
from aisle.lock import locked
from aisle.manifest import Manifest
from aisle.provenance import files_digest
from aisle.stage import Folders, Stage
from aisle.stages import Workshop, whole_folder


class Count:
    """A stage's work that writes a text and counts how often it is asked to."""

    def __init__(self, text: str = "fine") -> None:
        self.text, self.times = text, 0

    def __call__(self, folders: Folders) -> None:
        self.times += 1
        (folders.out / "value.txt").write_text(self.text)
        (folders.out / "deep" / "er").mkdir(parents=True)
        (folders.out / "deep" / "er" / "more.bin").write_bytes(bytes(range(256)))


def copy(folders: Folders) -> None:
    """A stage's work that copies what it reads."""
    for name, folder in folders.inputs.items():
        (folders.out / f"{name}.txt").write_text((folder / "value.txt").read_text())


def test_an_unchanged_stage_is_kept(tmp_path: Path) -> None:
    work = Count()
    first = Workshop(tmp_path).run(Stage("make", work, settings={"a": 1}))
    again = Workshop(tmp_path).run(Stage("make", work, settings={"a": 1}))
    assert (first.status, again.status, work.times) == ("ran", "unchanged", 1)
    assert again.manifest == first.manifest
    assert again.folder == tmp_path / "make"


@pytest.mark.parametrize(
    "changed",
    [
        {"settings": {"a": 2}},
        {"seed": 1},
        {"sources": {"data": "another digest"}},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_what_bears_on_a_stage_runs_it_again(tmp_path: Path, changed: dict) -> None:
    work = Count()
    same = {"settings": {"a": 1}, "seed": 0, "sources": {"data": "digest"}}
    Workshop(tmp_path).run(Stage("make", work, **same))
    assert Workshop(tmp_path).run(Stage("make", work, **(same | changed))).status == "ran"
    assert work.times == 2


def test_a_later_stage_runs_again_only_if_what_it_reads_has_changed(tmp_path: Path) -> None:
    reader = Stage("read", copy, reads=("make",))
    Workshop(tmp_path).run(Stage("make", Count("one"), settings={"a": 1}))
    Workshop(tmp_path).run(reader)
    Workshop(tmp_path).run(Stage("make", Count("one"), settings={"a": 2}))
    assert Workshop(tmp_path).run(reader).status == "unchanged", "another way to the same content"
    Workshop(tmp_path).run(Stage("make", Count("two"), settings={"a": 3}))
    assert Workshop(tmp_path).run(reader).status == "ran"
    assert (tmp_path / "read" / "make.txt").read_text() == "two"


def test_redo_starts_afresh(tmp_path: Path) -> None:
    work = Count()
    Workshop(tmp_path).run(Stage("make", work))
    assert Workshop(tmp_path).run(Stage("make", work), redo=True).status == "ran"
    assert work.times == 2


def test_every_flipped_bit_is_noticed_and_the_stage_done_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    work = Count()
    done = Workshop(tmp_path).run(Stage("make", work))
    names = [*done.manifest.files, "manifest.json"]
    for times, name in enumerate(names, start=2):
        path = tmp_path / "make" / name
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        caplog.clear()
        assert Workshop(tmp_path).run(Stage("make", work)).status == "ran"
        assert "doing the stage again" in caplog.text
        assert work.times == times
        assert Workshop(tmp_path).run(Stage("make", work)).status == "unchanged"


def test_a_manifest_with_a_flipped_bit_is_no_manifest_or_says_the_same(tmp_path: Path) -> None:
    Workshop(tmp_path).run(Stage("make", Count(), settings={"name": "value"}))
    path = tmp_path / "make" / "manifest.json"
    content, manifest = path.read_bytes(), Manifest.read(path.parent)
    refused = 0
    for bit in range(0, 8 * len(content), 11):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        found = Manifest.read(path.parent)
        assert found in (None, manifest)
        refused += found is None
    assert refused > 0.9 * len(range(0, 8 * len(content), 11)), "only white space may change"


@pytest.mark.parametrize("spoil", ["missing", "longer"])
def test_a_damaged_input_is_refused(tmp_path: Path, spoil: str) -> None:
    Workshop(tmp_path).run(Stage("make", Count()))
    value = tmp_path / "make" / "value.txt"
    actions: dict[str, Callable[[], object]] = {
        "missing": value.unlink,
        "longer": lambda: value.write_text("fine, and more"),
    }
    actions[spoil]()
    with pytest.raises(InputError, match="run `aisle make`"):
        Workshop(tmp_path).run(Stage("read", copy, reads=("make",)))
    assert not (tmp_path / "read").exists()


def test_a_note_beside_the_result_is_no_damage_and_outlives_every_redo(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    work = Count()
    Workshop(tmp_path).run(Stage("make", work))
    note = tmp_path / "make" / "deep" / "note.txt"
    note.write_text("mine")
    assert Workshop(tmp_path).run(Stage("make", work)).status == "unchanged"
    assert "not written by aisle, and left where it is: deep/note.txt" in caplog.text
    assert Workshop(tmp_path).run(Stage("read", copy, reads=("make",))).status == "ran"
    for times, swap in ((2, exchange), (3, lambda first, second: False)):
        Workshop(tmp_path, swap=swap).run(Stage("make", work), redo=True)
        assert (work.times, note.read_text()) == (times, "mine")
    Workshop(tmp_path).run(Stage("make", work, settings={"other": 1}))
    assert note.read_text() == "mine"
    assert not (tmp_path / ".partial").exists()


def test_a_note_with_the_name_of_a_new_file_is_kept_beside_it(tmp_path: Path) -> None:
    Workshop(tmp_path).run(Stage("make", Count(), settings={"a": 1}))
    (tmp_path / "make" / "later.txt").write_text("mine")

    def later(folders: Folders) -> None:
        (folders.out / "later.txt").write_text("aisle's")

    Workshop(tmp_path).run(Stage("make", later, settings={"a": 2}))
    assert (tmp_path / "make" / "later.txt").read_text() == "aisle's"
    assert (tmp_path / "make" / "later.txt.old").read_text() == "mine"


@pytest.mark.parametrize("ask_again", [True, False])
def test_a_killed_redo_continues(tmp_path: Path, ask_again: bool) -> None:
    seen = []

    def slow(folders: Folders) -> None:
        seen.append(sorted(path.name for folder in (folders.out, folders.work) for path in folder.iterdir()))
        (folders.out / "first.txt").write_text(str(len(seen)))
        (folders.work / "scratch.txt").write_text("2")
        if len(seen) == 2:
            raise KeyboardInterrupt

    Workshop(tmp_path).run(Stage("make", slow))
    with pytest.raises(KeyboardInterrupt):
        Workshop(tmp_path).run(Stage("make", slow), redo=True)
    assert (tmp_path / "make" / "first.txt").read_text() == "1", "the old result until the new one is whole"
    assert Workshop(tmp_path).run(Stage("make", slow), redo=ask_again).manifest.resumed
    assert seen == [[], [], ["first.txt", "scratch.txt"]]
    assert (tmp_path / "make" / "first.txt").read_text() == "3"
    assert Workshop(tmp_path).run(Stage("make", slow)).status == "unchanged"
    assert not (tmp_path / ".partial").exists()


def test_a_redo_forgets_a_killed_try(tmp_path: Path) -> None:
    seen = []

    def slow(folders: Folders) -> None:
        seen.append(sorted(path.name for folder in (folders.out, folders.work) for path in folder.iterdir()))
        (folders.work / "scratch.txt").write_text("2")
        if len(seen) == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Workshop(tmp_path).run(Stage("make", slow))
    Workshop(tmp_path).run(Stage("make", slow), redo=True)
    assert seen == [[], []]


def test_an_input_that_was_not_made_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="run `aisle make` or `aisle run` first"):
        Workshop(tmp_path).run(Stage("read", copy, reads=("make",)))


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "make").mkdir()
    (tmp_path / "make" / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="which aisle did not write"):
        Workshop(tmp_path).run(Stage("make", Count()), redo=True)
    assert (tmp_path / "make" / "thesis.tex").read_text() == "years of work"


def test_a_failed_stage_leaves_the_old_result_and_nothing_under_its_name(tmp_path: Path) -> None:
    def fail(folders: Folders) -> None:
        (folders.out / "half.txt").write_text("half")
        raise InputError("luck", "none", "try again")

    with pytest.raises(InputError, match="luck"):
        Workshop(tmp_path).run(Stage("make", fail))
    assert not (tmp_path / "make").exists()
    Workshop(tmp_path).run(Stage("make", Count("old")))
    with pytest.raises(InputError, match="luck"):
        Workshop(tmp_path).run(Stage("make", fail, settings={"a": 2}))
    assert (whole_folder(tmp_path, "make") / "value.txt").read_text() == "old"


def test_a_second_try_finds_what_the_first_one_left(tmp_path: Path) -> None:
    seen = []

    def slow(folders: Folders) -> None:
        seen.append(sorted(path.name for folder in (folders.out, folders.work) for path in folder.iterdir()))
        (folders.out / "first.txt").write_text("1")
        (folders.work / "scratch.txt").write_text("2")
        if len(seen) == 1:
            raise KeyboardInterrupt
        folders.keep("scratch.txt")

    with pytest.raises(KeyboardInterrupt):
        Workshop(tmp_path).run(Stage("make", slow))
    done = Workshop(tmp_path).run(Stage("make", slow))
    assert seen == [[], ["first.txt", "scratch.txt"]]
    assert done.manifest.resumed
    assert sorted(done.manifest.files) == ["first.txt", "scratch.txt"]
    assert not (tmp_path / ".partial").exists()


def test_a_stage_from_other_source_is_kept_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    work = Count()
    Workshop(tmp_path).run(Stage("make", work, components=("index",)))
    with caplog.at_level(logging.WARNING):
        assert Workshop(tmp_path).run(Stage("make", work, components=("data", "index"))).status == "unchanged"
    assert "kept from other source code" in caplog.text


def test_one_process_at_a_time_and_a_dead_one_holds_nothing(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from aisle.lock import locked\n"
        "with locked(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(InputError, match="another aisle process"), locked(tmp_path):
            pass
    finally:
        holder.kill()
        holder.communicate()
    with locked(tmp_path):
        pass


def test_an_output_folder_that_cannot_be_made_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(InputError, match="an output folder that can be written"),
        locked(tmp_path / "file" / "out"),
    ):
        pass


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="no /proc on this system")
def test_an_output_folder_that_takes_no_files_is_not_taken_for_a_held_one() -> None:
    with pytest.raises(InputError, match="an output folder that can be written"), locked(Path("/proc")):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind the superuser")
def test_an_output_folder_without_permission_is_an_input_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="an output folder that can be written"), locked(tmp_path):
        pass


def test_the_digest_of_files_does_not_depend_on_where_they_are(tmp_path: Path) -> None:
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "a.txt").write_text("same")
    assert files_digest(tmp_path / "here", ["a.txt"]) == files_digest(tmp_path / "there", ["a.txt"])
    (tmp_path / "there" / "a.txt").write_text("other")
    assert files_digest(tmp_path / "here", ["a.txt"]) != files_digest(tmp_path / "there", ["a.txt"])


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux forgets an earlier peak")
def test_peak_memory_is_that_of_the_stage_alone() -> None:
    """In a process of its own, whose memory nothing else has stretched."""
    program = (
        "from aisle.memory import peak, reset_peak\n"
        "reset_peak(); before = peak(); block = bytearray(200 * 2**20); during = peak()\n"
        "del block; reset_peak(); after = peak()\n"
        "print((during - before) / 2**20, (after - before) / 2**20)"
    )
    printed = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    during, after = map(float, printed.split())
    assert 190 < during < 210
    assert abs(after) < 10
