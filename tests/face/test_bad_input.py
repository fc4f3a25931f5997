"""Bad input: one clear message, status 2, no traceback, and nothing half-written that looks whole."""

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner, Result

from aisle.cli import app

Spoil = Callable[[Path], object]


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def complaint(result: Result) -> str:
    """The message of a call that failed as it should."""
    assert result.exit_code == 2, result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    lines = result.stderr.splitlines()
    first = next(number for number, line in enumerate(lines) if line == "aisle: cannot go on")
    assert all(line.startswith("warning: ") for line in lines[:first])
    heads = [
        line.split(":")[0]
        for line in lines[first + 1 :]
        if line.startswith(("expected:", "found:", "to do:"))
    ]
    assert heads == ["expected", "found", "to do"]
    return result.stderr


def events(folder: Path) -> str:
    return (folder / "events.csv").read_text()


def cut_short(folder: Path) -> None:
    whole = gzip.compress(events(folder).encode())
    (folder / "events.csv").unlink()
    (folder / "events.csv.gz").write_bytes(whole[: len(whole) // 2])


def mix_ids(folder: Path) -> None:
    (folder / "events.csv").unlink()
    rows = [
        f'{{"user_id": "u1", "item_id": {item}, "kind": "view", "timestamp": 1700000000}}'
        for item in (7, '"i7"')
    ]
    (folder / "events.jsonl").write_text("\n".join(rows * 50) + "\n")


def name_an_unknown_column(folder: Path) -> None:
    (folder / "mapping.toml").write_text(
        '[[file]]\nmatch = "events.csv"\ntable = "events"\nkind = "purchase"\n'
        '[file.columns]\nuser_id = "user_id"\nitem_id = "item_di"\ntimestamp = "timestamp"\n'
    )


def one_event_each(folder: Path) -> None:
    lines = events(folder).splitlines()
    (folder / "events.csv").write_text("\n".join(lines[:21]) + "\n")


CASES: dict[str, tuple[Spoil, str]] = {
    "an empty folder": (lambda folder: [path.unlink() for path in folder.iterdir()], "no files"),
    "an empty file": (lambda folder: (folder / "events.csv").write_bytes(b""), "events.csv is empty"),
    "a header alone": (
        lambda folder: (folder / "events.csv").write_text(events(folder).splitlines()[0]),
        "events",
    ),
    "an empty catalogue": (
        lambda folder: (folder / "items.csv").write_text("item_id,title,description\n"),
        "items",
    ),
    "no events": (lambda folder: (folder / "events.csv").unlink(), "events"),
    "a picture called events.csv": (
        lambda folder: (folder / "events.csv").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40),
        "events.csv",
    ),
    "JSON called events.csv": (
        lambda folder: (folder / "events.csv").write_text('{"a": 1}\n' * 20),
        "events.csv",
    ),
    "a text file called events.parquet": (
        lambda folder: (folder / "events.csv").rename(folder / "events.parquet"),
        "events.parquet",
    ),
    "undecodable bytes": (
        lambda folder: (folder / "events.csv").write_bytes(
            events(folder).encode().replace(b"u03", b"\xff\xfe03")
        ),
        "events.csv",
    ),
    "a truncated .gz": (cut_short, "events.csv.gz"),
    "ids of mixed types": (mix_ids, "item_id"),
    "a mapping with an unknown column": (name_an_unknown_column, "item_id"),
    "a mapping that is no TOML": (
        lambda folder: (folder / "mapping.toml").write_text("[[file]\n"),
        "mapping.toml",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_shop_that_cannot_be_read(tiny_shop: Path, tmp_path: Path, case: str) -> None:
    spoil, named = CASES[case]
    spoil(tiny_shop)
    out = tmp_path / "out"
    assert named in complaint(call("prepare", "--data", tiny_shop, "--out", out))
    assert not (out / "prepare").exists()
    assert "aisle prepare" in complaint(call("train", "--out", out))


def test_users_without_history(tiny_shop: Path, tmp_path: Path) -> None:
    one_event_each(tiny_shop)
    out = tmp_path / "out"
    message = complaint(call("prepare", "--data", tiny_shop, "--out", out, "--split", "leave_one_out"))
    assert "a user with three target events" in message
    assert not (out / "prepare").exists()


def test_a_data_folder_that_is_not_there(tmp_path: Path) -> None:
    for verb in ("prepare", "run"):
        result = call(verb, "--data", tmp_path / "none", "--out", tmp_path / "out")
        assert str(tmp_path / "none") in complaint(result)
    assert not (tmp_path / "out").exists()


def test_a_mapping_that_is_not_there(tiny_shop: Path, tmp_path: Path) -> None:
    result = call(
        "prepare", "--data", tiny_shop, "--out", tmp_path / "out", "--mapping", tmp_path / "none.toml"
    )
    assert "none.toml" in complaint(result)


def test_an_output_folder_that_cannot_be_written(tiny_shop: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "out"):
        assert str(out) in complaint(call("prepare", "--data", tiny_shop, "--out", out))


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind the superuser")
def test_an_output_folder_without_permission(tiny_shop: Path, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    out = tmp_path / "locked" / "out"
    assert str(out) in complaint(call("prepare", "--data", tiny_shop, "--out", out))


def test_an_output_folder_inside_the_data(tiny_shop: Path) -> None:
    for out in (tiny_shop, tiny_shop / "out"):
        assert "inside" in complaint(call("run", "--data", tiny_shop, "--out", out))
    assert sorted(path.name for path in tiny_shop.iterdir()) == ["events.csv", "items.csv"]


def test_an_output_folder_with_somebody_elses_files(tiny_shop: Path, tmp_path: Path) -> None:
    (tmp_path / "out" / "prepare").mkdir(parents=True)
    result = call("prepare", "--data", tiny_shop, "--out", tmp_path / "out")
    assert "aisle did not write" in complaint(result)


def test_stages_out_of_order(tiny_shop: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert call("prepare", "--data", tiny_shop, "--out", out).exit_code == 0
    for verb, missing in (("index", "train"), ("candidates", "train"), ("evaluate", "train")):
        assert f"aisle {missing}" in complaint(call(verb, "--out", out))


def test_a_damaged_stage_is_not_read(tiny_shop: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert call("prepare", "--data", tiny_shop, "--out", out).exit_code == 0
    path = out / "prepare" / "items.parquet"
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    assert "items.parquet has changed" in complaint(call("train", "--out", out))
    assert not (out / "train").exists()


def test_items_without_text(tiny_shop: Path, tmp_path: Path) -> None:
    (tiny_shop / "items.csv").unlink()
    out = tmp_path / "out"
    assert "none of 12 items has any" in complaint(call("run", "--data", tiny_shop, "--out", out))
    assert not (out / "train").exists()


def test_an_encoder_that_is_not_there(tiny_shop: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = call("run", "--data", tiny_shop, "--out", out, "--encoder", tmp_path / "none")
    assert str(tmp_path / "none") in complaint(result)


def test_settings_that_are_wrong_stop_before_anything_is_done(tiny_shop: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for wrong in ("retriever.dims=3", "retriever.dim=wide", "retriever.dim"):
        complaint(call("run", "--data", tiny_shop, "--out", out, "--set", wrong))
    complaint(call("run", "--data", tiny_shop, "--out", out, "--config", tmp_path / "none.toml"))
    assert not out.exists()


def test_runs_and_truth_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "mine.parquet").write_text("no Parquet")
    run, truth = tmp_path / "mine.parquet", tmp_path / "truth.parquet"
    complaint(call("evaluate"))
    complaint(call("evaluate", "--run", run))
    assert "truth.parquet" in complaint(call("evaluate", "--run", run, "--truth", truth))
    assert "mine.parquet" in complaint(call("evaluate", "--run", run, "--truth", run))


@pytest.mark.parametrize(
    ("spoilt", "options", "message"),
    [
        ("run", [], "finite scores"),
        (None, ["--set", "evaluate.k=[0, 10]"], "evaluate.k"),
        (None, ["--vectors", "{vectors}"], "--items"),
    ],
    ids=["a score that is not a number", "k = 0", "vectors without items"],
)
def test_evaluating_files_that_cannot_be_used(tmp_path, spoilt, options, message):
    truth = pl.DataFrame({"user_id": ["u", "v"], "item_id": ["a", "b"]})
    run = truth.with_columns(score=float("nan") if spoilt == "run" else 1.0)
    vectors = truth.select("item_id", vector=pl.lit([1.0]))
    for name, table in {"truth": truth, "run": run, "vectors": vectors}.items():
        table.write_parquet(tmp_path / f"{name}.parquet")
    files = ["--run", tmp_path / "run.parquet", "--truth", tmp_path / "truth.parquet"]
    given = [option.format(vectors=tmp_path / "vectors.parquet") for option in options]
    assert message in complaint(call("evaluate", *files, *given))
