"""The command line: options, output for people and machines, and how it fails."""

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from aisle.cli import app
from aisle.cli.shops import number
from aisle.cli.verb import Answer, verb
from aisle.data.errors import InputError

BIN = Path(sys.executable).with_name("aisle")


def call(*arguments: str, of: typer.Typer = app) -> Result:
    return CliRunner().invoke(of, list(arguments))


@pytest.fixture
def failing() -> typer.Typer:
    """A command line with one verb that fails as it is told."""
    other = typer.Typer(pretty_exceptions_enable=False)
    errors = {
        "input": InputError("bread", "stones", "bake"),
        "bug": ZeroDivisionError("division by zero"),
        "disk": OSError(28, "No space left on device", "/full/disk"),
        "stop": KeyboardInterrupt(),
    }

    @verb(other)
    def fail(how: str = "input") -> Answer:
        if how == "fine":
            return Answer({"how": how}, ["all is fine"])
        raise errors[how]

    return other


@pytest.mark.parametrize(
    ("text", "value"), [("1000", 1000), ("1e6", 1_000_000), ("2.5e3", 2500), ("10_000", 10_000), ("1", 1)]
)
def test_numbers_as_people_write_them(text: str, value: int) -> None:
    assert number(text) == value


@pytest.mark.parametrize("text", ["many", "1.5", "0", "-3", "inf", "nan", ""])
def test_what_is_no_whole_number(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        number(text)


def test_the_version() -> None:
    from importlib.metadata import version

    assert call("--version").stdout == version("aisle") + "\n"


def test_every_verb_has_help_within_80_columns() -> None:
    verbs = (
        "run",
        "prepare",
        "train",
        "index",
        "candidates",
        "tune",
        "evaluate",
        "compare",
        "shop",
        "fetch",
        "settings",
    )
    for name in verbs:
        result = call(name, "--help")
        assert result.exit_code == 0
        assert "--json" in result.stdout
        assert max(map(len, result.stdout.splitlines())) <= 80


def test_an_answer_for_people_and_one_for_machines(failing: typer.Typer) -> None:
    assert call("--how", "fine", of=failing).stdout == "all is fine\n"
    assert json.loads(call("--how", "fine", "--json", of=failing).stdout) == {"how": "fine"}


def test_bad_input_is_one_message_and_status_2(failing: typer.Typer) -> None:
    result = call("--how", "input", of=failing)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr == "aisle: cannot go on\nexpected: bread\nfound:    stones\nto do:    bake\n"


def test_bad_input_for_machines(failing: typer.Typer) -> None:
    result = call("--how", "input", "--json", of=failing)
    assert result.exit_code == 2
    assert json.loads(result.stdout) == {
        "error": {"kind": "InputError", "expected": "bread", "found": "stones", "to_do": "bake"}
    }


def test_an_unexpected_error_is_one_line_and_status_1(failing: typer.Typer) -> None:
    result = call("--how", "bug", of=failing)
    assert result.exit_code == 1
    assert result.stderr == (
        "aisle: unexpected ZeroDivisionError: division by zero (run with --debug to see where)\n"
    )


def test_debug_shows_where(failing: typer.Typer) -> None:
    assert "Traceback" in call("--how", "bug", "--debug", of=failing).stderr
    assert "Traceback" in call("--how", "input", "--debug", of=failing).stderr


def test_a_full_disk_is_no_bug(failing: typer.Typer) -> None:
    result = call("--how", "disk", of=failing)
    assert (result.exit_code, result.stderr) == (2, "aisle: No space left on device: /full/disk\n")


def test_ctrl_c_is_status_130(failing: typer.Typer) -> None:
    result = call("--how", "stop", of=failing)
    assert result.exit_code == 130
    assert "Traceback" not in result.stderr


def test_a_signal_at_work_is_status_130(tmp_path: Path) -> None:
    program = (
        "import time, typer; from aisle.cli.verb import Answer, verb; app = typer.Typer()\n"
        "def work(): print('at work', flush=True); time.sleep(60); return Answer({})\n"
        "verb(app)(work); app()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "at work\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors == "aisle: stopped; the same command goes on from here\n"


def test_a_misspelt_option_is_status_2() -> None:
    result = call("run", "--dta", "x")
    assert result.exit_code == 2
    assert "--data" in result.stderr


def test_a_truth_without_a_run_is_named() -> None:
    for option in ("--truth", "--items"):
        result = call("evaluate", option, "x.parquet")
        assert result.exit_code == 2
        assert f"found:    {option} without --run\n" in result.stderr
    assert "found:    neither\n" in call("evaluate").stderr


def test_settings_are_printed_with_the_overrides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "\ndim = 64\n" in call("settings", "--set", "retriever.dim=64").stdout
    assert json.loads(call("settings", "--json").stdout)["retriever"]["dim"] == 128


def test_progress_goes_to_a_terminal_and_not_into_a_pipe(tiny_shop: Path, tmp_path: Path) -> None:
    command = [str(BIN), "prepare", "--data", str(tiny_shop), "--redo", "--out", str(tmp_path / "out")]
    piped = subprocess.run(command, capture_output=True, text=True, check=True)
    assert piped.stderr == ""
    terminal, other = pty.openpty()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=other, check=True)
    os.close(other)
    assert b"prepare ..." in os.read(terminal, 10_000)
    quiet, other = pty.openpty()
    subprocess.run([*command, "--quiet"], stdout=subprocess.DEVNULL, stderr=other, check=True)
    os.write(other, b"end")
    assert os.read(quiet, 10_000) == b"end"
