"""Training on a world where what comes next is certain."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from language_models import tiny_bert
from worlds import circle_shop, write_prepared

from aisle.data.errors import InputError
from aisle.data.prepared import Prepared
from aisle.data.settings import TextSettings
from aisle.index.errors import IndexFault
from aisle.index.settings import IndexSettings
from aisle.retriever.candidates import build_index, fingerprint, retrieve
from aisle.retriever.encoder import Encoder
from aisle.retriever.model import load
from aisle.retriever.settings import EncoderSettings, ObjectiveSettings, RetrieverSettings
from aisle.retriever.train import train
from aisle.retriever.untouched import encoder_run

SMALL = RetrieverSettings(
    encoder=EncoderSettings(max_tokens=32, precision="fp32"),
    dim=32,
    batch_size=16,
    learning_rate=3e-3,
    warmup_steps=5,
    round_steps=10,
    max_rounds=12,
    precision="fp32",
    dropout=0.1,
)
TEXT = TextSettings()
CPU = IndexSettings(device="cpu")
VECTORS = Encoder.encode

TRAIN = """
import sys
from pathlib import Path
from aisle.data.prepared import Prepared
from aisle.data.settings import TextSettings
from aisle.retriever.settings import RetrieverSettings
from aisle.retriever.train import train

settings = RetrieverSettings.model_validate_json(sys.argv[2])
train(Prepared(Path(sys.argv[1])), TextSettings(), settings, Path(sys.argv[3]), seed=0)
"""


def hit_rate(prepared, candidates: Path, k: int) -> float:
    """Share of test users whose item is among the first k."""
    truth = prepared.truth("test")
    run = pl.read_parquet(candidates / "candidates.parquet")
    found = run.filter(pl.col("rank") <= k).join(truth, on=["user_id", "item_id"])
    return len(found) / len(truth)


def trained(prepared, settings, out, seed=0):
    """Train, index and retrieve into `out`."""
    out.mkdir(exist_ok=True)
    (out / "index").mkdir(exist_ok=True)
    train(prepared, TEXT, settings, out, seed=seed)
    build_index(prepared, out / "model", out / "index", CPU)
    retrieve(prepared, out / "model", out / "index", out, CPU, k=20)
    return out


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return circle_shop(tmp_path_factory.mktemp("circle") / "prepare")


@pytest.fixture(scope="module")
def sequence(shop, tmp_path_factory):
    return trained(shop, SMALL, tmp_path_factory.mktemp("sequence"))


def test_the_sequence_tower_learns_what_comes_next(shop, sequence):
    assert hit_rate(shop, sequence, 1) > 0.9


@pytest.mark.parametrize(
    "changes",
    [
        {"objective": ObjectiveSettings(kind="sampled_softmax", negatives=16)},
        {"objective": ObjectiveSettings(kind="in_batch")},
        {"similarity": "dot", "objective": ObjectiveSettings(temperature=1.0)},
        {"towers": ("ids",)},
        {"towers": ("text",)},
        {"towers": ("hybrid", "ids", "hybrid")},
    ],
    ids=lambda changes: " ".join(map(str, changes.values())),
)
def test_every_recipe_learns_it(shop, tmp_path, changes):
    settings = SMALL.model_copy(update={"max_rounds": 20, "patience": 5, **changes})
    assert hit_rate(shop, trained(shop, settings, tmp_path), 1) > 0.7


def test_the_text_tower_finds_the_kind_of_thing(shop, tmp_path):
    settings = SMALL.model_copy(update={"user_tower": "text", "max_rounds": 20, "patience": 5})
    out = trained(shop, settings, tmp_path)
    assert hit_rate(shop, out, 5) > 0.9  # five unseen colours of one thing are left at most


def test_candidates_are_unseen_ranked_and_complete(shop, sequence):
    run = pl.read_parquet(sequence / "candidates.parquet")
    past = shop.past("test").select("user_id", "item_id").collect()
    assert run.join(past, on=["user_id", "item_id"]).is_empty()
    seen = past.group_by("user_id").len()
    sizes = run.group_by("user_id").len().join(seen, on="user_id", suffix="_seen")
    assert len(sizes) == len(shop.user_ids)
    assert (sizes["len"] == np.minimum(20, len(shop.items) - sizes["len_seen"].to_numpy())).all()
    ordered = run.sort("user_id", "rank")
    lengths = sizes.sort("user_id")["len"]
    assert ordered["rank"].to_list() == [rank for length in lengths for rank in range(1, length + 1)]
    assert (ordered.select(pl.col("score").diff().over("user_id").fill_null(0)).to_series() <= 0).all()


def test_one_seed_gives_the_same_candidates(shop, sequence, tmp_path):
    again = trained(shop, SMALL, tmp_path / "again")
    other = trained(shop, SMALL, tmp_path / "other", seed=1)
    frames = [pl.read_parquet(out / "candidates.parquet") for out in (sequence, again, other)]
    assert frames[0].equals(frames[1])
    assert not frames[0].equals(frames[2])


def test_a_killed_training_continues_to_the_same_towers(shop, sequence, tmp_path):
    command = [sys.executable, "-c", TRAIN, str(shop.folder), SMALL.model_dump_json(), str(tmp_path)]
    process = subprocess.Popen(command, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    while process.poll() is None and not list(
        tmp_path.glob("search-two_tower/checkpoint-*/trainer_state.json")
    ):
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "model").exists()
    train(shop, TEXT, SMALL, tmp_path, seed=0)
    assert fingerprint(tmp_path / "model") == fingerprint(sequence / "model")
    assert (tmp_path / "curve.jsonl").read_text() == (sequence / "curve.jsonl").read_text()


def test_a_training_killed_after_its_end_does_not_go_on(shop, sequence, tmp_path):
    train(shop, TEXT, SMALL, tmp_path, seed=0)
    for phase in ("search-two_tower", "refit-two_tower"):
        (tmp_path / phase / "done.json").unlink()
    train(shop, TEXT, SMALL, tmp_path, seed=0)
    assert fingerprint(tmp_path / "model") == fingerprint(sequence / "model")
    assert (tmp_path / "curve.jsonl").read_text() == (sequence / "curve.jsonl").read_text()


def test_trainings_of_another_language_model_are_not_gone_on_with(shop, sequence, tmp_path):
    shutil.copy(sequence / "recipe.json", tmp_path)
    other = SMALL.encoder.model_copy(update={"model": str(tiny_bert(tmp_path / "language-model"))})
    with pytest.raises(InputError, match="trainings of the same settings"):
        train(shop, TEXT, SMALL.model_copy(update={"encoder": other}), tmp_path, seed=0)


def test_the_curve_and_the_model_say_how_it_went(sequence):
    curve = [json.loads(line) for line in (sequence / "curve.jsonl").read_text().splitlines()]
    search = [row for row in curve if row["phase"] == "search"]
    best = max(search, key=lambda row: row["ndcg@10"])
    about = load(sequence / "model").about
    assert about["epochs"]["two_tower"] == best["epoch"] == sum(row["phase"] == "refit" for row in curve)
    assert {row["tower"] for row in curve} == {"two_tower"}
    assert search[-1]["loss"] < search[0]["loss"]


def test_the_untouched_encoder_finds_similar_things(shop, sequence, monkeypatch):
    encoded = []
    monkeypatch.setattr(
        Encoder, "encode", lambda self, texts, *_: encoded.append(len(texts)) or VECTORS(self, texts)
    )
    run = encoder_run(shop, TEXT, SMALL.encoder, sequence / "model", k=5)
    assert not encoded  # the towers were trained on these very texts
    other = encoder_run(shop, TextSettings(item=("{title}",)), SMALL.encoder, sequence / "model", k=5)
    assert encoded == [24]
    assert not run.equals(other)
    same = run["user_id"].str.slice(1).cast(pl.Int64) % 4
    things = run["item_id"].str.extract(r"^(.*)-")
    own = pl.Series(["lipstick", "nail polish", "shampoo", "perfume"]).gather(same)
    assert (things == own).mean() > 0.5  # a quarter by chance


def test_towers_and_index_of_different_trainings_do_not_mix(shop, sequence, tmp_path):
    other = trained(shop, SMALL.model_copy(update={"max_rounds": 1}), tmp_path)
    with pytest.raises(IndexFault, match="vectors of model"):
        retrieve(shop, other / "model", sequence / "index", tmp_path, CPU)


def test_another_catalogue_is_refused(sequence, tmp_path):
    other = circle_shop(tmp_path / "prepare", users=20)
    other.items.head(5).write_parquet(other.folder / "items.parquet")
    with pytest.raises(InputError, match=r"towers of a catalogue of 24"):
        build_index(Prepared(other.folder), sequence / "model", tmp_path, CPU)


def test_a_broken_model_folder(sequence, tmp_path):
    with pytest.raises(InputError, match="a trained model"):
        load(tmp_path)
    copy = shutil.copytree(sequence / "model", tmp_path / "copy")
    (copy / "towers" / "two_tower.safetensors").write_bytes(b"junk")
    with pytest.raises(InputError, match="a trained model"):
        load(copy)


def test_nothing_to_train_on(tmp_path):
    item = {"item_id": "a", "title": "red lipstick"}
    event = {"user_id": "u", "item_id": "a", "kind": "purchase", "position": 0}
    shop = write_prepared(tmp_path / "p", [item], {"train": [event], "validation": [], "test": []})
    with pytest.raises(InputError, match="at least two items"):
        train(shop, TEXT, SMALL, tmp_path, seed=0)


def test_a_single_user(tmp_path):
    items = [{"item_id": name, "title": f"{name} lipstick"} for name in ("red", "green", "blue")]
    events = [
        {"user_id": "u", "item_id": item["item_id"], "kind": "purchase", "position": step}
        for step, item in enumerate(items)
    ]
    shop = write_prepared(
        tmp_path / "p", items, {"train": events[:2], "validation": events[2:], "test": events[2:]}
    )
    with pytest.raises(InputError, match="1 users, 2 items in train"):
        train(shop, TEXT, SMALL, tmp_path, seed=0)


def test_towers_of_another_architecture(sequence, tmp_path):
    shutil.copytree(sequence / "model", tmp_path, dirs_exist_ok=True)
    config = json.loads((tmp_path / "config.json").read_text())
    config["settings"]["dim"] = 64
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="size mismatch") as error:
        load(tmp_path)
    assert "aisle train" in error.value.fix


def test_checkpoints_of_another_recipe_are_refused(shop, sequence):
    wider = SMALL.model_copy(update={"dim": 64})
    for settings, seed in ((wider, 0), (SMALL, 1)):
        with pytest.raises(InputError, match="same settings and seed"):
            train(shop, TEXT, settings, sequence, seed=seed)


def test_a_loss_that_is_not_finite(shop, tmp_path):
    settings = SMALL.model_copy(update={"learning_rate": 1e30, "similarity": "dot", "warmup_steps": 0})
    with pytest.raises(InputError, match=r"lower retriever\.learning_rate"):
        train(shop, TEXT, settings, tmp_path, seed=0)
