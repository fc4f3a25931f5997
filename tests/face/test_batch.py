"""The nightly job: the same candidates as the stage, whatever the parts and the source."""

import gc
import json
import shutil
from pathlib import Path
from typing import Any
from weakref import ref

import fsspec
import numpy as np
import polars as pl
import pytest
from batch_jobs import USERS, K, found, job, settings_for
from polars.testing import assert_frame_equal
from pyarrow import parquet
from typer.testing import CliRunner

from aisle.batch.parts import PartFiles
from aisle.batch.summary import FEW_IN_STOCK, SEEN_MOST, Summary
from aisle.cli import app
from aisle.data.buckets import Spilled, read_bucket, spill
from aisle.data.errors import InputError
from aisle.data.settings import DataSettings
from aisle.data.source import EventSource
from aisle.data.visitors import Visitors
from aisle.manifest import Manifest


def test_the_job_finds_what_the_stage_finds(tea_run: Path, plain: Path) -> None:
    stage = pl.read_parquet(tea_run / "candidates" / "candidates.parquet")
    columns = ["user_id", "rank", "item_id", "score"]
    assert_frame_equal(found(plain), stage.select(columns).sort("user_id", "rank"), rel_tol=1e-4)
    assert len(list((plain / "batch" / "candidates").iterdir())) == 4


def test_the_number_of_parts_changes_nothing(
    tea_run: Path, events: Path, plain: Path, tmp_path: Path
) -> None:
    done, summary = job(events, tea_run, tmp_path, settings=settings_for(part_events=10**6))
    assert summary.parts == 1
    assert_frame_equal(found(tmp_path), found(plain), rel_tol=1e-4)
    assert done.status == "ran"


def test_the_events_of_a_part_are_gone_with_it(
    tea_run: Path, events: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    class Watched(Visitors):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            asked.append(ref(self))

    monkeypatch.setattr("aisle.batch.work.Visitors", Watched)
    gc.disable()  # a cycle would keep them for many parts
    try:
        job(events, tea_run, tmp_path)
        kept = [one() for one in asked]
    finally:
        gc.enable()
    assert kept == [None] * 4


def test_nothing_changed_nothing_done(tea_run: Path, events: Path, plain: Path) -> None:
    assert job(events, tea_run, plain)[0].status == "unchanged"


def test_parts_say_where_they_come_from(tea_run: Path, plain: Path) -> None:
    says = parquet.read_metadata(plain / "batch" / "candidates" / "part-00000.parquet").metadata
    manifest = Manifest.read(plain / "batch")
    assert manifest is not None
    index = json.loads((tea_run / "index" / "index.json").read_text())
    assert says[b"aisle.index"].decode() == index["seal"] == manifest.settings["aisle.index"]
    assert says[b"aisle.model"].decode() == index["model"] == manifest.settings["aisle.model"]
    assert says[b"aisle.encoder"].decode() == manifest.settings["aisle.encoder"] != ""


def test_the_summary_counts(events: Path, plain: Path) -> None:
    summary = Summary.read(plain / "batch")
    run = found(plain)
    assert (summary.users, summary.rows, summary.k) == (USERS, len(run), K)
    assert (summary.items, summary.in_stock) == (run["item_id"].n_unique(), 8)
    assert summary.events == sum(len(pl.read_parquet(path)) for path in events.iterdir())
    assert summary.short == {}


def test_only_what_is_in_stock_is_found(tea_run: Path, events: Path, tmp_path: Path) -> None:
    everything = tmp_path / "all"
    job(events, tea_run, everything, settings=settings_for(k=8))
    stock = pl.DataFrame(
        {"item_id": [f"i{row}" for row in range(8)] + ["new"], "left": [0, 2, 0, 1, 1, 0, 5, 0, 9]}
    )
    stock.write_csv(tmp_path / "stock.csv")
    _, summary = job(
        events,
        tea_run,
        tmp_path / "some",
        stock=tmp_path / "stock.csv",
        stock_column="left",
        settings=settings_for(k=2),
    )
    kept = found(everything).filter(pl.col("item_id").is_in(["i1", "i3", "i4", "i6"]))
    best = kept.with_columns(rank=pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over("user_id")).filter(
        pl.col("rank") <= 2
    )
    assert_frame_equal(found(tmp_path / "some"), best, rel_tol=1e-4)
    assert summary.in_stock == 4


def test_who_gets_fewer_and_why(tea_run: Path, events: Path, tmp_path: Path) -> None:
    pl.DataFrame({"item_id": ["i0", "i1"]}).write_parquet(tmp_path / "two.parquet")
    _, few = job(events, tea_run, tmp_path / "few", stock=tmp_path / "two.parquet")
    assert few.short == {FEW_IN_STOCK: USERS}
    _, seen = job(events, tea_run, tmp_path / "seen", settings=settings_for(k=8))
    assert seen.short == {SEEN_MOST: USERS}
    pl.DataFrame({"item_id": ["unknown"]}).write_csv(tmp_path / "none.csv")
    with pytest.raises(InputError, match="items in stock"):
        job(events, tea_run, tmp_path / "no", stock=tmp_path / "none.csv")


def test_users_come_from_a_url_or_a_run(tea_run: Path, events: Path, plain: Path, tmp_path: Path) -> None:
    files = fsspec.filesystem("memory")
    for path in events.iterdir():
        files.pipe_file(f"/nightly/{path.name}", path.read_bytes())
    job("memory://nightly", tea_run, tmp_path / "url")
    assert_frame_equal(found(tmp_path / "url"), found(plain), rel_tol=1e-4)
    _, summary = job(tea_run, tea_run, tmp_path / "run")
    assert summary.events == len(pl.read_parquet(tea_run / "prepare" / "events.parquet"))


def test_files_without_events_are_named(
    tea_run: Path, events: Path, plain: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mixed = shutil.copytree(events, tmp_path / "mixed")
    pl.DataFrame({"colour": ["red"]}).write_parquet(mixed / "colours.parquet")
    job(mixed, tea_run, tmp_path / "out")
    assert_frame_equal(found(tmp_path / "out"), found(plain), rel_tol=1e-4)
    total = len(list(mixed.iterdir()))
    (told,) = {line for line in caplog.messages if "hold no events" in line}
    assert told.startswith(f"1 of {total} files")
    assert told.endswith("colours.parquet")


def test_only_users_with_new_events_are_asked_again(
    tea_run: Path, events: Path, plain: Path, tmp_path: Path
) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    for path in events.iterdir():
        (source / path.name).write_bytes(path.read_bytes())
    _, first = job(source, tea_run, out, incremental=True)
    assert first.carried == {}
    new = pl.DataFrame(
        {
            "user_id": ["u07", "fresh"],
            "item_id": ["i0", "i0"],
            "kind": ["purchase"] * 2,
            "timestamp": [1_700_000_900] * 2,
        }
    )
    new.write_parquet(source / "today.parquet")
    _, second = job(source, tea_run, out, incremental=True)
    assert sum(second.carried.values()) == USERS - 1
    assert second.users == USERS + 1
    others = ~pl.col("user_id").is_in(["u07", "fresh"])
    assert_frame_equal(found(out).filter(others), found(plain).filter(others))
    everything = tmp_path / "everything"
    job(source, tea_run, everything)
    asked = pl.col("user_id").is_in(["u07", "fresh"])
    assert_frame_equal(found(out).filter(asked), found(everything).filter(asked), rel_tol=1e-4)
    gone = found(out).filter(others)["item_id"].value_counts(sort=True)["item_id"][0]
    pl.DataFrame({"item_id": [f"i{row}" for row in range(8) if f"i{row}" != gone]}).write_csv(
        tmp_path / "stock.csv"
    )
    had = found(out).filter(pl.col("item_id") == gone)["user_id"].n_unique()
    _, third = job(source, tea_run, out, incremental=True, stock=tmp_path / "stock.csv")
    assert sum(third.carried.values()) == USERS + 1 - had
    assert gone not in set(found(out)["item_id"])
    files = PartFiles(out / "batch", 0)
    here = len(pl.read_parquet(files.users))
    files.candidates.write_bytes(b"rotten")
    _, fourth = job(source, tea_run, out, incremental=True, stock=tmp_path / "stock.csv")
    assert sum(fourth.carried.values()) == USERS + 1 - here
    _, other_k = job(source, tea_run, out, incremental=True, settings=settings_for(k=2))
    assert other_k.carried == {}


def test_strange_texts_and_strange_users(tea_run: Path, tmp_path: Path) -> None:
    users = ["", "  ", "😀" * 40, "مستخدم", "a" * 100_000, "x/../y", "null", "u'1\"\n"]
    texts = ["", "é" * 1_000_000, "😀👍🏽", "שלום עולם", None, "\x00\ufffe", "plain", " "]
    events = {"user_id": users, "item_id": ["i0"] * 8, "kind": ["purchase"] * 8, "text": texts}
    pl.DataFrame({**events, "timestamp": [1_700_000_000] * 8}).write_parquet(tmp_path / "strange.parquet")
    _, summary = job(tmp_path / "strange.parquet", tea_run, tmp_path / "out")
    assert summary.rejected == {"no user id": 3}
    assert (summary.users, summary.rows) == (5, 5 * K)
    scores = found(tmp_path / "out").group_by("rank").agg(pl.col("score").n_unique())
    assert scores["score"].max() == 1  # they all did the same


def test_bad_sources(tea_run: Path, events: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="check --users"):
        job(tmp_path / "nowhere", tea_run, tmp_path / "out")
    (tmp_path / "cut.parquet").write_bytes((events / "train.parquet").read_bytes()[:-100])
    with pytest.raises(InputError, match=r"cut\.parquet"):
        job(tmp_path / "cut.parquet", tea_run, tmp_path / "out")
    pl.DataFrame({"colour": ["red"]}).write_parquet(tmp_path / "colours.parquet")
    with pytest.raises(InputError, match="events"):
        job(tmp_path / "colours.parquet", tea_run, tmp_path / "out")
    nobody = pl.DataFrame({"user_id": [None], "item_id": ["i0"], "kind": ["purchase"], "timestamp": [1]})
    nobody.cast({"user_id": pl.String}).write_parquet(tmp_path / "nobody.parquet")
    with pytest.raises(InputError, match="1 x no user id"):
        job(tmp_path / "nobody.parquet", tea_run, tmp_path / "out")


def test_all_events_of_a_user_are_in_one_bucket_in_order(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    given = pl.DataFrame(
        {
            "user_id": [f"u{user}" for user in rng.integers(0, 50, 3000)],
            "item_id": [f"i{row}" for row in range(3000)],
            "kind": "view",
            "timestamp": 1_700_000_000 + np.arange(3000),
        }
    )
    given.write_parquet(tmp_path / "events.parquet", row_group_size=100)
    batches = EventSource(str(tmp_path)).batches(DataSettings(), timed=True, chars=10)
    spilled = spill(batches, tmp_path / "buckets", 7, held=1 << 12)
    parts = [read_bucket(tmp_path / "buckets", bucket) for bucket in range(7)]
    assert spilled.events == sum(map(len, parts)) == 3000
    assert sum(part["user_id"].n_unique() for part in parts) == 50
    for part in parts:
        numbers = part["item_id"].str.slice(1).cast(pl.Int64)
        assert numbers.equals(numbers.sort())
    assert Spilled.read(tmp_path / "buckets") == spilled
    with (tmp_path / "buckets" / "00003.arrows").open("ab") as file:
        file.write(b"x")
    assert Spilled.read(tmp_path / "buckets") is None


def test_from_the_command_line(tea_run: Path, events: Path, tmp_path: Path) -> None:
    def ask(*options: str) -> tuple[int, dict]:
        answer = CliRunner().invoke(app, ["candidates", "--out", str(tmp_path / "out"), *options, "--json"])
        return answer.exit_code, json.loads(answer.stdout)

    code, said = ask("--users", str(events), "--run", str(tea_run), "--k", "2")
    assert (code, said["summary"]["users"], said["summary"]["rows"]) == (0, USERS, 2 * USERS)
    assert ask("--users", str(events))[0] == 2
    assert ask("--stock", "x.csv")[0] == 2
    assert ask("--users", str(events), "--run", str(tea_run), "--address", "auto")[0] == 2
