"""`aisle pretrain`: on a prepared shop, on a plain table, and as a part of `aisle run`."""

import json
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from aisle import pipeline
from aisle.cli import app
from aisle.data.errors import InputError
from aisle.learning import finetune_stage, train_stage
from aisle.manifest import Manifest
from aisle.settings import Settings, load_settings

SMALL = (
    "retriever.pretrain.enabled=true",
    "retriever.pretrain.from_scratch=true",
    "retriever.pretrain.vocabulary_size=100",
    "retriever.pretrain.layers=1",
    "retriever.pretrain.hidden=16",
    "retriever.pretrain.steps=4",
    "retriever.pretrain.round_steps=2",
    "retriever.pretrain.warmup_steps=0",
    "retriever.max_rounds=2",
    "retriever.round_steps=1",
    "retriever.dim=16",
    "retriever.towers=['text']",
    "candidates.k=5",
    "evaluate.k=[5, 10]",
    "evaluate.resamples=100",
    "evaluate.permutations=200",
    "evaluate.baselines.names=['popularity']",
)


def settings(*more: str) -> Settings:
    return load_settings(None, [*SMALL, *more])


def test_training_reads_the_pretrained_model(tiny_shop: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    pipeline.prepare(tiny_shop, out, settings())
    pipeline.pretrain(out, settings())
    train, pretrain = pipeline.train(out, settings()).manifest, Manifest.read(out / "pretrain")
    assert pretrain is not None
    assert train.inputs["pretrain"] == pretrain.digest
    assert "encoder" not in train.inputs, "the encoder that is not read bears on nothing"
    assert {"model/modules.json", "model/model.safetensors", "curve.jsonl"} <= set(pretrain.files)
    assert pipeline.pretrain(out, settings()).status == "unchanged"
    assert pipeline.pretrain(out, settings("retriever.pretrain.steps=6")).status == "ran"


def test_a_run_pretrains_between_preparing_and_training(
    tiny_shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        pipeline, "run_stages", lambda workshop, stages, redo: {one.name: one for one in stages}
    )
    found = pipeline.run(tiny_shop, tmp_path / "run", settings())
    assert list(found) == ["prepare", "pretrain", "train", "index", "candidates", "evaluate"]


def test_training_asks_for_the_pretraining_that_it_needs(tiny_shop: Path, tmp_path: Path) -> None:
    pipeline.prepare(tiny_shop, tmp_path / "run", settings())
    with pytest.raises(InputError, match="aisle pretrain"):
        pipeline.train(tmp_path / "run", settings())


def test_a_table_of_texts_by_the_command_line(tmp_path: Path) -> None:
    texts = [f"质量很好，第{number}次买" for number in range(40)]
    pl.DataFrame({"review": texts}).write_csv(tmp_path / "reviews.csv")
    options = [option for one in SMALL for option in ("--set", one)]
    table = ["--texts", str(tmp_path / "reviews.csv"), "--column", "review"]
    command = ["pretrain", "--out", str(tmp_path / "run"), "--json", *table, *options]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    folder = Path(json.loads(result.stdout)["stages"]["pretrain"]["folder"])
    assert folder == tmp_path / "run" / "pretrain"
    assert "质" in (folder / "model" / "tokenizer.json").read_text("utf-8")
    assert len((folder / "curve.jsonl").read_text().splitlines()) == 2
    again = CliRunner().invoke(app, command)
    assert json.loads(again.stdout)["stages"]["pretrain"]["status"] == "unchanged"
    wrong = CliRunner().invoke(app, [*command, "--column", "words"])
    assert wrong.exit_code == 2
    assert "--column review" in wrong.output


def test_a_table_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        pipeline.pretrain(tmp_path / "run", settings(), texts=(tmp_path / "none.csv", "text"))


def test_each_stage_goes_on_from_the_language_model_before_it() -> None:
    both = settings("retriever.finetune.enabled=true")
    assert finetune_stage(both).reads == ("prepare", "pretrain")
    assert train_stage(both).reads == ("prepare", "finetune")
    assert train_stage(settings()).reads == ("prepare", "pretrain")


def test_a_redo_of_what_is_switched_off(tiny_shop: Path, tmp_path: Path) -> None:
    off = settings("retriever.pretrain.enabled=false")
    with pytest.raises(InputError, match="pretrain, which is switched off"):
        pipeline.run(tiny_shop, tmp_path / "run", off, redo=["pretrain"])
