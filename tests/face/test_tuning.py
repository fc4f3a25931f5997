"""`aisle tune`: the search on a known function, killed and continued, and on a small shop."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner
from worlds import circle_shop

from aisle.cli import app
from aisle.data.errors import InputError
from aisle.settings import Settings, load_settings, with_values
from aisle.space import DEFAULT, Range
from aisle.tuning import Tuned, check_space, search, validated

Told = Callable[[int, float], None]

SPACE = (
    'tune.space={"retriever.learning_rate" = {low=1e-4, high=1e-1, log=true}, "retriever.dim" = [64, 128],'
    ' "retriever.layers" = {low=1, high=4}}'
)


def settings(*overrides: str, trials: int = 12) -> Settings:
    return load_settings(overrides=[SPACE, f"tune.trials={trials}", *overrides])


def height(tried: Settings, _: Path, told: Told) -> float:
    """A hill with its top, 1, at a learning rate of 1e-2, 3 layers and dim 128; climbed in three rounds."""
    retriever = tried.retriever
    top = 1 - 0.2 * abs(math.log10(retriever.learning_rate) + 2) - 0.05 * abs(retriever.layers - 3)
    top -= 0.1 * (retriever.dim == 64)
    for number in (1, 2, 3):
        told(number, top * number / 3)
    return top


def kept(tuned: Tuned) -> list[dict[str, object]]:
    """Trials without their numbers: those cut off by a kill have some, too."""
    return [{name: value for name, value in trial.items() if name != "trial"} for trial in tuned.trials]


def test_the_best_settings_are_found_and_read_back(tmp_path: Path) -> None:
    tuned = search(tmp_path, "shop", settings(trials=30), height)
    assert len(tuned.trials) == 30
    assert tuned.value > 0.9
    assert tuned.value == max(trial["ndcg@10"] or 0 for trial in tuned.trials)
    assert load_settings(tmp_path / "best.toml") == tuned.best
    assert tuned.best == with_values(settings(trials=30), tuned.changed)


def test_the_first_trial_is_what_is_set(tmp_path: Path) -> None:
    first = search(tmp_path, "shop", settings("retriever.dim=64"), height).trials[0]
    assert first["retriever.learning_rate"] == Settings().retriever.learning_rate
    assert (first["retriever.dim"], first["retriever.layers"]) == (64, Settings().retriever.layers)


def test_a_killed_study_comes_to_the_same_end(tmp_path: Path) -> None:
    whole = search(tmp_path / "whole", "shop", settings(), height)
    calls = 0

    def killed(tried: Settings, work: Path, told: Told) -> float:
        nonlocal calls
        calls += 1
        (work / "search").mkdir(exist_ok=True)
        if calls == 6:
            told(1, 0.1)
            raise KeyboardInterrupt
        return height(tried, work, told)

    with pytest.raises(KeyboardInterrupt):
        search(tmp_path / "killed", "shop", settings(), killed)
    found: list[bool] = []

    def going_on(tried: Settings, work: Path, told: Told) -> float:
        found.append((work / "search").exists())
        return height(tried, work, told)

    continued = search(tmp_path / "killed", "shop", settings(), going_on)
    assert kept(continued) == kept(whole)
    assert found == [True] + [False] * 6  # the checkpoints of the trial that was cut off, and of no other


def test_a_finished_study_is_not_done_again_and_can_be_longer(tmp_path: Path) -> None:
    search(tmp_path, "shop", settings(trials=3), height)
    calls: list[Settings] = []

    def counted(tried: Settings, work: Path, told: Told) -> float:
        calls.append(tried)
        return height(tried, work, told)

    search(tmp_path, "shop", settings(trials=3), counted)
    assert calls == []
    assert len(search(tmp_path, "shop", settings(trials=5), counted).trials) == 5
    assert len(calls) == 2


def test_another_shop_or_seed_is_another_study(tmp_path: Path) -> None:
    search(tmp_path, "shop", settings(trials=3), height)
    for shop, other in (("other", settings(trials=2)), ("shop", settings("seed=1", trials=2))):
        assert len(search(tmp_path, shop, other, height).trials) == 2


def test_hopeless_trials_are_stopped_after_some_rounds(tmp_path: Path) -> None:
    trials = search(tmp_path / "a", "shop", settings(trials=20), height).trials
    stopped = [trial for trial in trials if trial["state"] == "pruned"]
    assert stopped
    assert all(trial["rounds"] < 3 or trial["ndcg@10"] is None for trial in stopped)
    all_through = search(tmp_path / "b", "shop", settings("tune.pruning=false", trials=20), height).trials
    assert {trial["state"] for trial in all_through} == {"complete"}


def test_a_loss_that_is_not_finite_is_a_bad_trial_and_no_end(tmp_path: Path) -> None:
    from aisle.retriever.trainer import DivergedError

    def fragile(tried: Settings, work: Path, told: Told) -> float:
        if tried.retriever.learning_rate > 5e-3:
            raise DivergedError("a finite loss", "nan", "lower it")
        return height(tried, work, told)

    tuned = search(tmp_path, "shop", settings(), fragile)
    assert {trial["state"] for trial in tuned.trials} >= {"complete", "diverged"}
    assert tuned.best.retriever.learning_rate <= 5e-3

    def hopeless(tried: Settings, work: Path, told: Told) -> float:
        raise DivergedError("a finite loss", "nan", "lower it")

    with pytest.raises(InputError, match="narrow"):
        search(tmp_path / "none", "shop", settings(trials=2), hopeless)


def test_the_space_names_settings_of_the_retriever() -> None:
    check_space(DEFAULT)
    for name, near in (("retriever.dims", "retriever.dim"), ("evaluate.k", ""), ("seed", "")):
        with pytest.raises(InputError, match=f"did you mean {near}"):
            check_space({name: (1, 2)})
    for empty in ({}, {"retriever.dim": ()}):
        with pytest.raises(InputError, match="name some"):
            check_space(empty)
    for wrong in ("{low=2, high=1}", "{low=0.0, high=1.0, log=true}"):
        with pytest.raises(InputError, match="low"):
            load_settings(overrides=[f'tune.space={{"retriever.dropout" = {wrong}}}'])
    assert Range(low=1, high=3).whole
    assert not Range(low=0.0, high=1.0).whole


SMALL = (
    "retriever.dim=16",
    "retriever.batch_size=32",
    "retriever.round_steps=5",
    "retriever.max_rounds=2",
    'retriever.towers=["ids"]',
    "retriever.co_occurrence=false",
    "retriever.precision=fp32",
    'tune.space={"retriever.learning_rate" = [1e-6, 2e-2]}',
    "tune.trials=2",
)


def test_the_test_part_has_no_say(tmp_path: Path) -> None:
    small = load_settings(overrides=[*SMALL, "retriever.learning_rate=1e-6"])
    found = []
    for name in ("as it is", "another test"):
        shop = circle_shop(tmp_path / name / "prepare")
        test = shop.folder / "split" / "test.parquet"
        if name == "another test":
            pl.read_parquet(test).with_columns(item_id=pl.lit("perfume-red")).write_parquet(test)
        found.append(search(tmp_path / name / "tune", "circles", small, validated(shop.folder)))
    tuned = found[0]
    assert tuned.changed == {"retriever.learning_rate": 2e-2}
    assert tuned.trials[0]["ndcg@10"] < tuned.value
    assert tuned.trials == found[1].trials
    assert not list((tmp_path / "as it is" / "tune").glob("work-*/search*"))


def test_the_verb_writes_what_train_takes(tiny_shop: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    options = [part for value in SMALL for part in ("--set", value)]
    runner = CliRunner()
    assert runner.invoke(app, ["prepare", "--data", str(tiny_shop), "--out", out]).exit_code == 0
    asked = runner.invoke(app, ["tune", "--out", out, *options, "--trials", "1", "--json"])
    assert asked.exit_code == 0, asked.stderr
    answer = json.loads(asked.stdout)
    assert len(answer["trials"]) == 1
    shown = runner.invoke(app, ["tune", "--out", out, *options, "--trials", "1"])
    assert "1 trials" in shown.stdout
    assert "learning_rate" in shown.stdout
    trained = runner.invoke(app, ["train", "--out", out, "--config", answer["best"], "--json"])
    assert trained.exit_code == 0, trained.stderr


def test_tuning_is_for_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from aisle.tuning import tune

    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="without torchrun"):
        tune(tmp_path)
