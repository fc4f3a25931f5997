"""Recipes of the objective in whole trainings, and across a kill."""

import json
import logging
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from worlds import circle_shop, write_prepared

from aisle.data.settings import TextSettings
from aisle.retriever.candidates import fingerprint
from aisle.retriever.model import load
from aisle.retriever.settings import ObjectiveSettings, RetrieverSettings
from aisle.retriever.train import train
from aisle.retriever.trainer import TowerTrainer
from aisle.retriever.users import SequenceUsers

IDS = RetrieverSettings(
    towers=("ids",),
    co_occurrence=False,
    dim=16,
    batch_size=16,
    learning_rate=1e-2,
    warmup_steps=5,
    round_steps=10,
    max_rounds=6,
    precision="fp32",
    refit=False,
    dropout=0.1,
)
SAMPLED = {"kind": "sampled_softmax", "negatives": 16}


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return circle_shop(tmp_path_factory.mktemp("circle") / "prepare", users=80)


def fitted(shop, out: Path, **objective):
    """The model folder of a training with these settings of the objective."""
    settings = IDS.model_copy(update={"objective": ObjectiveSettings(**objective)})
    out.mkdir(exist_ok=True)
    train(shop, TextSettings(), settings, out, seed=0)
    return out / "model"


@pytest.fixture(scope="module")
def plain(shop, tmp_path_factory):
    """The towers of the default objective."""
    return main_towers(fitted(shop, tmp_path_factory.mktemp("plain")))


def main_towers(folder):
    return load(folder).towers["two_tower"]


RECIPES = [
    {**SAMPLED, "popular_share": 0.5, "batch_negatives": True},
    {**SAMPLED, "hard_negatives": 4, "hard_margin": 0.0},
    {"kind": "in_batch", "frequency": "streaming"},
    {"learn_temperature": True},
    {"matryoshka": (4, 8)},
]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: " ".join(recipe))
def test_every_objective_learns_what_comes_next(shop, tmp_path, recipe):
    fitted(shop, tmp_path, **recipe)
    rounds = [json.loads(line) for line in (tmp_path / "curve.jsonl").read_text().splitlines()]
    assert max(row["ndcg@10"] for row in rounds) > 0.8


def test_prefixes_trained_as_such_rank_better_than_those_that_are_not(shop, plain, tmp_path):
    found = []
    users = SequenceUsers(shop, IDS)
    truth = shop.truth("validation")
    rows = shop.user_ids.rows(truth["user_id"])
    items = shop.item_ids.rows(truth["item_id"])
    for towers in (plain, main_towers(fitted(shop, tmp_path, matryoshka=(3,)))):
        with torch.inference_mode():
            vectors = users.vectors(towers, rows, "train")
            short, short_items = (
                torch.nn.functional.normalize(some[:, :3], dim=1) for some in (vectors, towers.item_vectors())
            )
        scores = short @ short_items.T
        found.append(float((scores >= scores[range(len(rows)), items][:, None]).sum(1).float().mean()))
    assert found[1] < found[0] - 0.5  # mean place of the relevant item


def test_a_learned_temperature_is_learned_and_kept(shop, plain, tmp_path):
    state = main_towers(fitted(shop, tmp_path, learn_temperature=True)).temperature
    assert state().item() != pytest.approx(0.07, rel=0.01)
    assert plain.temperature().item() == pytest.approx(0.07)


def test_weight_decay_leaves_a_learned_temperature_alone(shop, tmp_path, monkeypatch):
    decayed = []

    def note(trainer, *_):
        decayed.extend(trainer.get_decay_parameter_names(trainer.module))
        raise KeyboardInterrupt

    monkeypatch.setattr(TowerTrainer, "run", note)
    with pytest.raises(KeyboardInterrupt):
        fitted(shop, tmp_path, learn_temperature=True)
    assert decayed
    assert not [name for name in decayed if "temperature" in name]


@pytest.mark.parametrize(
    "recipe",
    [
        {**SAMPLED, "hard_negatives": 4},
        {"kind": "in_batch", "frequency": "streaming", "learn_temperature": True},
    ],
    ids=["hard", "streaming, learned"],
)
def test_a_stopped_training_goes_on_to_the_same_towers(shop, tmp_path, monkeypatch, recipe):
    whole = fitted(shop, tmp_path / "whole", **recipe)
    step = TowerTrainer.compute_loss
    steps = []

    def stopped(self, *arguments, **options):
        steps.append(self.state.global_step)
        if len(steps) == 25:
            raise KeyboardInterrupt
        return step(self, *arguments, **options)

    monkeypatch.setattr(TowerTrainer, "compute_loss", stopped)
    with pytest.raises(KeyboardInterrupt):
        fitted(shop, tmp_path / "stopped", **recipe)
    again = fitted(shop, tmp_path / "stopped", **recipe)
    assert steps[25] == 20  # from the checkpoint of the second round on
    assert fingerprint(again) == fingerprint(whole)


@pytest.mark.parametrize("loss", ["kl", "margin_mse"])
def test_the_towers_learn_what_only_the_teacher_knows(shop, plain, tmp_path, loss):
    """The teacher puts a red thing before all others of the list, which no event says."""
    red = [item for item in shop.item_ids.values if item.endswith("red")]
    users = shop.user_ids.values.to_list()
    pairs = [
        (user, item, 4.0 * (item == red[place % len(red)]))
        for place, user in enumerate(users)
        for item in red
    ]
    path = tmp_path / "teacher.parquet"
    pl.DataFrame(pairs, schema=["user_id", "item_id", "score"], orient="row").write_parquet(path)
    agreement = []
    rows = shop.item_ids.rows(red)
    taught = fitted(shop, tmp_path / "taught", teacher=path, teacher_loss=loss, teacher_weight=2.0)
    for towers in (plain, main_towers(taught)):
        with torch.inference_mode():
            vectors = SequenceUsers(shop, IDS).vectors(towers, np.arange(len(users)), "train")
            best = (vectors @ towers.item_vectors()[rows].T).argmax(1)
        agreement.append((best == torch.arange(len(users)) % len(red)).float().mean().item())
    assert agreement[1] > agreement[0] + 0.2


def test_a_useless_model_is_said_to_be_one(tmp_path, caplog):
    """Everybody's next item is the most popular one, and the learning rate is next to nothing."""

    def bought(user, item, position):
        return {"user_id": f"u{user:03}", "item_id": item, "kind": "purchase", "position": position}

    items = [{"item_id": f"i{row}"} for row in range(50)] + [{"item_id": "bestseller"}]
    buyers, others = range(40), range(40, 200)
    events = [bought(user, "bestseller", 0) for user in buyers]
    events += [bought(user, f"i{user % 50}", 1) for user in range(200)]
    nexts = [bought(user, "bestseller", 2) for user in others]
    shop = write_prepared(tmp_path / "prepare", items, {"train": events, "validation": nexts, "test": []})
    settings = IDS.model_copy(update={"learning_rate": 1e-9, "max_rounds": 1})
    (tmp_path / "out").mkdir()
    with caplog.at_level(logging.WARNING, "aisle"):
        train(shop, TextSettings(), settings, tmp_path / "out", seed=0)
    assert "that of popularity 1.0000: the towers are worse than no model" in caplog.text
