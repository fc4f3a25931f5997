"""Two processes that torchrun starts train one model, as good as that of one process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from worlds import circle_shop

from aisle import pipeline
from aisle.data.errors import InputError
from aisle.retriever import processes
from aisle.retriever.model import load
from aisle.retriever.sampler import EpochSampler
from aisle.settings import Settings, load_settings

SMALL = [
    "retriever.dim=32",
    "retriever.batch_size=16",
    "retriever.learning_rate=3e-3",
    "retriever.warmup_steps=5",
    "retriever.round_steps=10",
    "retriever.max_rounds=12",
    "retriever.precision=fp32",
    "retriever.dropout=0.1",
    "retriever.encoder.max_tokens=32",
    "retriever.encoder.precision=fp32",
]


@pytest.fixture(scope="module")
def settings() -> Settings:
    return load_settings(overrides=SMALL)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The circles of `worlds.circle_shop` as tables; leave-one-out makes the same parts of them."""
    folder = tmp_path_factory.mktemp("circles")
    world = circle_shop(folder / "world")
    raw = folder / "raw"
    raw.mkdir()
    world.items.select("item_id", "title").write_csv(raw / "items.csv")
    events = world.events("train", "validation", "test").collect().sort("user_id", "position")
    events.select(
        "user_id", "item_id", "kind", timestamp=1_700_000_000 + 86_400 * pl.col("position")
    ).write_csv(raw / "events.csv")
    return raw


@pytest.fixture(scope="module")
def alone(shop: Path, settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process makes."""
    out = tmp_path_factory.mktemp("alone")
    pipeline.prepare(shop, out, settings)
    pipeline.train(out, settings)
    return out


def torchrun(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`torchrun --nproc-per-node 2 -m aisle ...`, on the CPU."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    return subprocess.run(
        [*command, "-m", "aisle", *arguments], capture_output=True, text=True, env=environment
    )


def chosen(out: Path) -> float:
    """Validation ndcg@10 of the towers in a run's folder."""
    return float(str(load(out / "train" / "model").weights.validation["two_tower"]))


def test_two_processes_train_as_well_as_one(
    shop: Path, alone: Path, settings: Settings, tmp_path: Path
) -> None:
    pipeline.prepare(shop, tmp_path, settings)
    options = [part for setting in SMALL for part in ("--set", setting)]
    ended = torchrun("train", "--out", str(tmp_path), *options, "--json")
    assert ended.returncode == 0, ended.stderr
    answer = json.loads(ended.stdout)  # of the first process alone
    assert answer["stages"]["train"]["status"] == "ran"
    assert not (tmp_path / ".partial").exists()
    one, two = chosen(alone), chosen(tmp_path)
    assert one > 0.9
    assert two > 0.97 * one
    curve = [json.loads(line) for line in (tmp_path / "train" / "curve.jsonl").read_text().splitlines()]
    # half a batch each: ten steps are an epoch of 160 users, as with one process
    assert [row["epoch"] for row in curve[:2]] == [1.0, 2.0]


def test_bad_input_is_complained_of_once(shop: Path, settings: Settings, tmp_path: Path) -> None:
    pipeline.prepare(shop, tmp_path, settings)
    ended = torchrun("train", "--out", str(tmp_path), "--set", "retriever.batch_size=15", "--set", "seed=1")
    assert ended.returncode != 0
    assert ended.stderr.count("aisle: cannot go on\n") == 1
    assert "retriever.batch_size = 15 and 2 processes" in ended.stderr
    assert not (tmp_path / "train").exists()


def test_one_process_needs_no_group() -> None:
    calls: list[int] = []
    assert processes.lead(lambda: processes.together(pow, 2, 3)) == 8
    assert processes.share(lambda: 5) == 5
    with processes.first_alone():
        calls.append(1)
    processes.wait()
    assert (calls, processes.count(), processes.is_first()) == ([1], 1, True)
    assert processes.portion(7) == 7


@pytest.mark.parametrize(("batch", "mine"), [(128, 32), (4, 1)])
def test_a_batch_is_shared_equally(batch: int, mine: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert processes.portion(batch) == mine


def test_a_batch_that_cannot_be_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(InputError, match="multiple of 3"):
        processes.portion(128)


def test_the_order_of_an_epoch_depends_on_seed_and_epoch_alone() -> None:
    lengths = [1 + row % 7 for row in range(200)]

    def order(seed: int, epoch: int) -> list[int]:
        sampler = EpochSampler(10, lengths, seed)
        sampler.set_epoch(epoch)
        return list(sampler)

    assert order(0, 1) == order(0, 1)
    assert sorted(order(0, 1)) == list(range(200))
    assert len({tuple(order(seed, epoch)) for seed in (0, 1) for epoch in (0, 1)}) == 4
