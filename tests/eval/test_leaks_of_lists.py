"""What lists tell of leaks: seen items, samples, candidates taken from the answers."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from leak_world import ITEMS, clean, random_lists, run_of

from aisle.eval.judging import judge
from aisle.eval.leaks import Material, check_lists
from aisle.eval.runs import check_run, check_truth


def of_run(run: pl.DataFrame, material: Material, depth: int = 100) -> list[str]:
    truth = check_truth(material.pairs.select("user_id", "item_id"))
    judged = judge(check_run(run, truth, "mine"), truth, depth=depth)
    return [finding.what for finding in check_lists("mine", judged, material)]


@pytest.mark.parametrize("masked", [True, False])
def test_hits_on_seen_items_are_reported(masked):
    world = clean()
    again = (
        world.parts["train"]
        .group_by("user_id", maintain_order=True)
        .first()
        .head(7)
        .with_columns(pl.col("timestamp") + timedelta(days=300))
    )
    again = again.select(world.parts["test"].columns)
    material = world.more("test", again).material(masked=masked, strategy=None)
    had = set(again["item_id"])
    lists = {
        user: [item for item in items if item not in had] for user, items in random_lists(world, 5).items()
    }
    assert of_run(run_of(lists), material) == []
    for user, item in again.select("user_id", "item_id").rows():
        lists[user] = [item, *(other for other in lists[user] if other != item)]
    (what,) = of_run(run_of(lists), material)
    assert what.startswith("7 of ")
    if masked:  # only what such an event takes out of the lists may not be in them
        kinds = world.parts["train"]["kind"].cast(pl.String).unique().to_list()
        assert of_run(run_of(lists), replace(material, seen_kinds=kinds)) == [what]
        assert "cart" not in kinds
        assert of_run(run_of(lists), replace(material, seen_kinds=["cart"])) == []


def test_samples_with_the_answer_added_are_reported():
    world = clean()
    lists = random_lists(world, 20)
    assert of_run(run_of(lists), world.material()) == []
    for user, item in world.parts["test"].select("user_id", "item_id").rows():
        lists[user] = list(dict.fromkeys([*lists[user], item]))
    (what,) = of_run(run_of(lists), world.material())
    assert "samples with the answer added" in what
    everything = run_of(random_lists(world, ITEMS))
    assert of_run(everything, world.material(), depth=20) == []


def test_candidates_taken_from_the_answers_are_reported():
    world = clean()
    wanted = world.parts["test"]["item_id"].unique().sort().to_list()
    rng = np.random.default_rng(0)
    lists = {user: rng.choice(wanted, 20, replace=False).tolist() for user in random_lists(world, 1)}
    (what,) = of_run(run_of(lists), world.material())
    assert "its candidates seem to be the tested items" in what
