"""Curves while it trains: TensorBoard's event files are read back."""

import json
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from worlds import circle_shop

from aisle.data.errors import InputError
from aisle.data.settings import TextSettings
from aisle.learning import train_stage
from aisle.retriever import reporting
from aisle.retriever.settings import RetrieverSettings
from aisle.retriever.train import train
from aisle.settings import load_settings

SMALL = RetrieverSettings(
    dim=16,
    batch_size=32,
    round_steps=5,
    max_rounds=3,
    towers=("ids",),
    precision="fp32",
    report_to=("tensorboard",),
)


def scalars(folder: Path, name: str) -> list[tuple[int, float]]:
    events = EventAccumulator(str(folder))
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars(name)]


def test_the_event_files_hold_the_curve(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    train(
        circle_shop(tmp_path / "shop"),
        TextSettings(),
        SMALL,
        tmp_path / "out",
        seed=0,
        logs=tmp_path / "logs",
    )
    curve = [json.loads(line) for line in (tmp_path / "out" / "curve.jsonl").read_text().splitlines()]
    search = [row for row in curve if row["phase"] == "search"]
    found = scalars(tmp_path / "logs" / "search-two_tower", "eval/ndcg@10")
    assert [step for step, _ in found] == [5, 10, 15]
    assert [value for _, value in found] == pytest.approx([row["ndcg@10"] for row in search])
    losses = [value for _, value in scalars(tmp_path / "logs" / "search-two_tower", "train/loss")]
    assert losses == pytest.approx([row["loss"] for row in search], abs=1e-3)
    assert scalars(tmp_path / "logs" / "refit-two_tower", "train/loss")


def test_what_is_not_installed_is_named_before_anything_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "find_spec", lambda name: None)
    for name in ("tensorboard", "wandb"):
        settings = load_settings(overrides=[f'retriever.report_to=["{name}"]'])
        with pytest.raises(InputError, match=f"pip install {name}"):
            train_stage(settings)


def test_reports_do_not_bear_on_the_result() -> None:
    told = load_settings(overrides=['retriever.report_to=["tensorboard"]'])
    assert train_stage(told).settings == train_stage(load_settings()).settings


def test_other_processes_do_not_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    assert reporting.reporters(["tensorboard"], tmp_path / "logs", "search") == []
    assert not (tmp_path / "logs").exists()
