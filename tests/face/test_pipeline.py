"""The whole job on a tiny shop: what it leaves, what it keeps, and that a seed decides everything."""

import gc
import json
import random
import shutil
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from language_models import tiny_bert
from typer.testing import CliRunner

from aisle import pipeline
from aisle.cli import app
from aisle.data.errors import InputError
from aisle.data.prepared import Prepared
from aisle.eval.evaluate import evaluate
from aisle.eval.report import Report
from aisle.evaluation import Runs, evaluate_candidates
from aisle.lock import locked
from aisle.retriever import locate
from aisle.retriever.finetune.validation import TextValidation
from aisle.settings import Settings, load_settings
from aisle.stage import Folders, Stage
from aisle.stages import Workshop, whole_folder

SMALL = (
    "retriever.max_rounds=2",
    "retriever.round_steps=1",
    "retriever.dim=16",
    "retriever.warmup_steps=0",
    "candidates.k=5",
    "evaluate.k=[5, 10]",
    "evaluate.resamples=100",
    "evaluate.permutations=200",
    "evaluate.baselines.names=['popularity', 'bm25', 'encoder']",
)


def settings(*more: str) -> Settings:
    return load_settings(None, [*SMALL, *more])


SOURCES = ("two_tower", "text_similarity", "co_occurrence", "words")
MODELS = ("fused", *SOURCES, "popularity", "bm25", "encoder")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, write_tiny_shop: Callable[[Path], Path]) -> Path:
    return write_tiny_shop(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory, shop: Path) -> Path:
    folder = tmp_path_factory.mktemp("run")
    done = pipeline.run(shop, folder, settings())
    assert [one.status for one in done.values()] == ["ran"] * 5
    return folder


def test_towers_read_the_fine_tuned_language_model(
    tmp_path: Path, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_bert(tmp_path / "bert", texts=["red blue green chair for the garden"])
    tuning = (
        f"retriever.encoder.model={model}",
        "retriever.encoder.max_tokens=16",
        "retriever.finetune.enabled=true",
        "retriever.finetune.learning_rate=0.01",
        "retriever.finetune.batch_size=4",
        "retriever.finetune.round_steps=2",
        "retriever.finetune.max_rounds=1",
        "evaluate.baselines.names=['popularity']",
    )
    run = tmp_path / "run"
    better = count()
    monkeypatch.setattr(TextValidation, "__call__", lambda self, encoder: float(next(better)))
    done = pipeline.run(shop, run, settings(*tuning))
    assert [*done] == ["prepare", "finetune", "train", "index", "candidates", "evaluate"]
    assert {path.name for path in (run / "finetune").iterdir()} == {
        "model",
        "curve.jsonl",
        "finetune.json",
        "manifest.json",
    }
    again = pipeline.run(shop, run, settings(*tuning))
    assert {one.status for one in again.values()} == {"unchanged"}
    other = pipeline.run(shop, run, settings(*tuning, "retriever.finetune.learning_rate=0.02"))
    assert [name for name, one in other.items() if one.status == "ran"] == [*done][1:]


def test_a_stage_that_is_switched_off_cannot_be_redone(tmp_path: Path, shop: Path) -> None:
    with pytest.raises(InputError, match=r"retriever\.finetune\.enabled"):
        pipeline.run(shop, tmp_path, settings(), redo=["finetune"])


def test_every_stage_leaves_what_the_architecture_says(out: Path) -> None:
    wanted = {
        "prepare": {"items.parquet", "events.parquet", "rejects.parquet", "counts.json"}
        | {f"split/{part}.parquet" for part in ("train", "validation", "test")},
        "train": {"curve.jsonl"},
        "index": {"index.faiss", "kind.json", "ids.arrow", "index.json"},
        "candidates": {
            "candidates.parquet",
            *(f"sources/{source}.parquet" for source in SOURCES),
        },
        "evaluate": {"report.json", "report.html", "truth.parquet"}
        | {f"runs/{model}.{kind}" for model in MODELS for kind in ("parquet", "json")},
    }
    for name, files in wanted.items():
        found = {
            path.relative_to(out / name).as_posix() for path in (out / name).rglob("*") if path.is_file()
        }
        rest = {file for file in found - {"manifest.json"} if not file.startswith("model/")}
        assert rest == files
    assert sorted(path.name for path in out.iterdir()) == [".lock", *sorted(wanted)]


def test_candidates_are_the_best_unseen_items_of_every_user(out: Path) -> None:
    candidates = pl.read_parquet(out / "candidates" / "candidates.parquet")
    prepared = Prepared(out / "prepare")
    assert candidates.columns[:4] == ["user_id", "rank", "item_id", "score"]
    assert candidates.columns[4:] == ["two_tower", "text_similarity", "co_occurrence", "words"]
    assert candidates["user_id"].n_unique() == len(prepared.user_ids) == 20
    assert candidates["rank"].min() == 1
    assert candidates["rank"].max() == 5
    assert (candidates.group_by("user_id").agg(pl.col("score").diff().max() <= 0))["score"].all()
    bought = prepared.past("test").select("user_id", "item_id").collect()
    assert candidates.join(bought, on=["user_id", "item_id"]).is_empty()


def stated(used: Settings) -> dict[str, Any]:
    """The settings that bear on any stage."""
    unused = dict.fromkeys(("ranker", "rebuild", "tune"), True)  # no stage of this run reads them
    idle = {"data": {"mapping"}, "retriever": {"report_to"}, "candidates": {"part_events"}, **unused}
    return used.model_dump(mode="json", exclude=idle)


def test_the_report_holds_models_context_and_protocol(out: Path) -> None:
    report = Report.read(out / "evaluate")
    assert set(report.models) == {
        "fused",
        "two_tower",
        "text_similarity",
        "co_occurrence",
        "words",
        "popularity",
        "bm25",
        "encoder",
    }
    assert report.ours == ["fused", "co_occurrence", "text_similarity", "two_tower", "words"]
    measured = {name.partition("@")[0] for name in report.models["fused"]}
    assert measured == set(settings().evaluate.metrics), "a shop knows all that metrics need"
    assert set(report.timings) >= {"prepare", "train", "index", "candidates", "popularity", "bm25", "encoder"}
    assert set(report.peak_memory) == {"prepare", "train", "index", "candidates", "evaluate"}
    assert set(report.learning_curve[0]) >= {"phase", "loss"}
    assert report.counts["catalogue"] == 12
    assert report.protocol["dataset"] == "shop"
    assert report.protocol["part"] == "test"
    assert report.settings["run"] == stated(settings())
    assert report.versions["torch"].startswith("2.")


def test_a_second_run_does_nothing(shop: Path, out: Path) -> None:
    before = {
        path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file() and path.name != ".lock"
    }
    done = pipeline.run(shop, out, settings())
    assert {one.status for one in done.values()} == {"unchanged"}
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_only_what_a_setting_bears_on_is_done_again(shop: Path, out: Path) -> None:
    done = pipeline.run(shop, out, settings("evaluate.resamples=101"))
    assert [name for name, one in done.items() if one.status == "ran"] == ["evaluate"]
    assert pipeline.evaluate(out, settings()).status == "ran", "back to the first settings"


def test_the_same_seed_gives_the_same_candidates_and_another_seed_others(
    shop: Path, out: Path, tmp_path: Path
) -> None:
    found = []
    for name, seed in (("same", 0), ("other", 1)):
        pipeline.prepare(shop, tmp_path / name, settings())
        for stage in (pipeline.train, pipeline.index, pipeline.candidates):
            stage(tmp_path / name, settings(f"seed={seed}"))
        found.append(pl.read_parquet(tmp_path / name / "candidates" / "candidates.parquet"))
    first = pl.read_parquet(out / "candidates" / "candidates.parquet")
    assert first.equals(found[0])
    assert not first.equals(found[1])


def test_the_verbs_answer_people_and_machines(shop: Path, out: Path, tmp_path: Path) -> None:
    config = tmp_path / "aisle.toml"
    lines = [part for line in SMALL for part in ["--set", line]]
    result = CliRunner().invoke(app, ["run", "--data", str(shop), "--out", str(out), "--json", *lines])
    assert result.exit_code == 0, result.stderr
    answer = json.loads(result.stdout)
    assert set(answer["stages"]) == {"prepare", "train", "index", "candidates", "evaluate"}
    assert set(answer["models"]["two_tower"]["recall@10"]) == {"value", "low", "high"}
    assert Path(answer["report"]["html"]).is_file()
    shown = CliRunner().invoke(app, ["evaluate", "--out", str(out), *lines])
    assert "two_tower" in shown.stdout
    assert not config.exists()


def test_anybodys_run_is_evaluated_from_files(out: Path, tmp_path: Path) -> None:
    mine = out / "evaluate" / "runs" / "popularity.parquet"
    truth = out / "evaluate" / "truth.parquet"
    command = ["evaluate", "--run", str(mine), "--truth", str(truth), "--json"]
    result = CliRunner().invoke(app, [*command, "--set", "evaluate.k=[5, 10]"])
    assert result.exit_code == 0, result.stderr
    measured = json.loads(result.stdout)["models"]["popularity"]["recall@5"]["value"]
    assert measured == Report.read(out / "evaluate").models["popularity"]["recall@5"].value
    written = CliRunner().invoke(app, [*command, "--out", str(tmp_path / "mine")])
    assert written.exit_code == 0, written.stderr
    assert (tmp_path / "mine" / "report.html").is_file()


def test_two_runs_of_one_model_are_told_apart_by_name(out: Path) -> None:
    mine = out / "evaluate" / "runs" / "popularity.parquet"
    other = out / "evaluate" / "runs" / "bm25.parquet"
    command = ["evaluate", "--truth", str(out / "evaluate" / "truth.parquet"), "--set", "evaluate.k=[5, 10]"]
    named = [*command, "--run", f"before={mine}", "--run", f"after={other}", "--json"]
    models = json.loads(CliRunner().invoke(app, named).stdout)["models"]
    assert set(models) == {"before", "after"}
    assert models["after"] != models["before"]
    refused = CliRunner().invoke(app, [*command, "--run", str(mine), "--run", f"popularity={other}"])
    assert refused.exit_code == 2
    assert "--run NAME=FILE" in refused.stderr


def test_a_killed_evaluation_keeps_its_finished_runs(out: Path, tmp_path: Path) -> None:
    """A whole run in the unfinished folder is taken as it is, a run without its mark is made again."""
    inputs = {name: whole_folder(out, name) for name in ("prepare", "train", "index", "candidates")}
    users = Prepared(inputs["prepare"]).truth("test").select("user_id").unique()
    odd = users.select("user_id", rank=pl.lit(1, pl.Int64), item_id=pl.lit("i0"), score=pl.lit(1.0))
    Runs(tmp_path / "runs", users).keep("popularity", odd, {"kept": True}, 12345.0)
    (tmp_path / "runs" / "bm25.parquet").write_bytes(b"half")
    report = evaluate_candidates(Folders(tmp_path, tmp_path, inputs, tmp_path), settings())
    assert report.timings["popularity"] == 12345.0
    assert report.settings["baselines"]["popularity"] == {"kept": True}
    assert pl.read_parquet(tmp_path / "runs" / "popularity.parquet")["item_id"].unique().to_list() == ["i0"]
    assert len(pl.read_parquet(tmp_path / "runs" / "bm25.parquet")) > 0


def test_the_report_says_what_the_stages_were_made_with(out: Path, tmp_path: Path) -> None:
    """Another call's settings for cleaning, training and candidates have no part in an evaluation."""
    inputs = {name: whole_folder(out, name) for name in ("prepare", "train", "index", "candidates")}
    later = ("data.clean.min_user_events=3", "retriever.dim=32", "candidates.k=7", "seed=5")
    report = evaluate_candidates(Folders(tmp_path, tmp_path, inputs, tmp_path), settings(*later))
    assert report.settings["run"] == stated(settings())
    assert report.protocol == Report.read(out / "evaluate").protocol
    assert {counts.longest for counts in report.runs.values()} == {5}


def test_who_and_what_the_past_does_not_name_is_reported_apart(out: Path, tmp_path: Path) -> None:
    inputs = {name: whole_folder(out, name) for name in ("train", "index", "candidates")}
    late = Prepared(shutil.copytree(whole_folder(out, "prepare"), tmp_path / "prepare"))
    user, item = late.truth("test").row(0)
    for part in ("train", "validation"):
        events = pl.read_parquet(late.folder / "split" / f"{part}.parquet")
        kept = events.filter((pl.col("user_id") != user) & pl.col("item_id").ne_missing(item))
        kept.write_parquet(late.folder / "split" / f"{part}.parquet")
    folders = Folders(tmp_path, tmp_path, inputs | {"prepare": late.folder}, tmp_path)
    report = evaluate_candidates(folders, settings("evaluate.baselines.names=['popularity']"))
    truth, past = late.truth("test"), late.past("test").collect()
    new = {
        "users": truth.join(past, on="user_id", how="anti"),
        "items": truth.join(past, on="item_id", how="anti"),
    }
    assert new["users"]["user_id"].unique().to_list() == [user]
    assert item in new["items"]["item_id"]
    for kind, pairs in new.items():
        assert report.slices[f"new {kind}"].pairs == len(pairs)
        assert report.slices[f"known {kind}"].pairs == len(truth) - len(pairs)
    assert set(report.slices["new users"].models) == {
        "fused",
        "two_tower",
        "text_similarity",
        "co_occurrence",
        "words",
        "popularity",
    }


def test_no_weights_are_needed_without_the_encoder(
    shop: Path, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_weights(model: str) -> Path:
        raise AssertionError(model)

    monkeypatch.setattr(locate, "locate", no_weights)
    weightless = settings("retriever.towers=['ids']", "evaluate.baselines.names=['popularity']")
    done = pipeline.run(shop, tmp_path, weightless)
    assert set(Report.read(done["evaluate"].folder).models) == {
        "fused",
        "two_tower",
        "co_occurrence",
        "popularity",
    }


def test_one_run_at_a_time_is_in_memory(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alive: list[weakref.ref[pl.DataFrame]] = []
    most = 0

    def read(runs: Runs, name: str) -> pl.DataFrame:
        nonlocal most
        gc.collect()
        found = pl.read_parquet(runs.folder / f"{name}.parquet")
        alive.append(weakref.ref(found))
        most = max(most, sum(one() is not None for one in alive))
        return found

    monkeypatch.setattr(Runs, "__getitem__", read)
    truth = Prepared(out / "prepare").truth("test")
    evaluate(truth, Runs(out / "evaluate" / "runs", truth), settings=settings().evaluate)
    assert len(alive) == 8
    assert most == 1


def test_stages_are_brought_up_to_date_in_order(tmp_path: Path) -> None:
    done: list[str] = []

    def work(name: str) -> Stage:
        def write(folders: Folders) -> None:
            done.append(name)
            (folders.out / "file.txt").write_text(name)

        return Stage(name, write, reads=("one",) if name == "two" else ())

    with opened(tmp_path) as workshop:
        pipeline.run_stages(workshop, [work("one"), work("two")])
        pipeline.run_stages(workshop, [work("one"), work("two")], redo=["two"])
    assert done == ["one", "two", "two"]


@contextmanager
def opened(out: Path) -> Iterator[Workshop]:
    with locked(out):
        yield Workshop(out)


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_ends_like_one_that_is_not(
    shop: Path, out: Path, tmp_path: Path
) -> None:
    program = str(Path(sys.executable).with_name("aisle"))
    options = [part for line in SMALL for part in ("--set", line)]
    command = [program, "run", "--data", str(shop), "--out", str(tmp_path), *options]
    chance = random.Random(3)
    kills = 0
    for _ in range(60):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            _, errors = process.communicate(timeout=chance.uniform(1, 25))
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            kills += 1
            continue
        assert process.returncode == 0, errors
        break
    assert kills > 0
    assert not (tmp_path / ".partial").exists()
    for name in ("prepare/events.parquet", "candidates/candidates.parquet", "evaluate/runs/bm25.parquet"):
        assert pl.read_parquet(tmp_path / name).equals(pl.read_parquet(out / name)), name
