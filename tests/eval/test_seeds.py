"""Seeds are a level of chance of their own: what another training would have undone is not claimed."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.stats import norm
from scipy.stats import t as student
from typer.testing import CliRunner

from aisle.cli import app
from aisle.data.errors import InputError
from aisle.eval.evaluate import evaluate
from aisle.eval.seeds import by_model, seed_weights
from aisle.eval.settings import EvaluateSettings
from aisle.eval.uncertainty import bootstrap_means, bootstrap_p, interval

QUICK = EvaluateSettings(
    k=(1,), metrics=("recall", "coverage"), primary="recall@1", tested=("recall@1",), resamples=400
)
USERS = [f"u{user:03}" for user in range(200)]
TRUTH = pl.DataFrame({"user_id": USERS, "item_id": ["a"] * len(USERS)})


def finds(share: float, seed: int = 0) -> pl.DataFrame:
    """A run that finds the item of a share of the users, others under each seed."""
    found = np.random.default_rng(seed).permutation(len(USERS)) < share * len(USERS)
    return pl.DataFrame(
        {"user_id": USERS, "item_id": np.where(found, "a", "b"), "score": np.ones(len(USERS))}
    )


def test_runs_of_one_model_are_told_by_their_names():
    assert by_model(["a@0", "b", "a@1", "mail@shop"]) == {
        "a": {"0": "a@0", "1": "a@1"},
        "b": {"": "b"},
        "mail@shop": {"": "mail@shop"},
    }
    with pytest.raises(InputError, match="one that is called 'a' alone"):
        by_model(["a@0", "a@1", "a"])


def test_values_are_means_over_the_seeds():
    runs = {"mine@0": finds(0.2, 0), "mine@1": finds(0.4, 1), "other": finds(0.1, 2)}
    report = evaluate(TRUTH, runs, settings=QUICK, ours=["mine"])
    assert set(report.models) == {"mine", "other"}
    assert report.models["mine"]["recall@1"].value == pytest.approx((0.2 + 0.4) / 2)
    assert report.seeds == {"mine": {"0": {"recall@1": 0.2}, "1": {"recall@1": 0.4}}}
    assert set(report.runs) == set(runs)
    assert report.comparisons[0].difference == pytest.approx(0.3 - 0.1)
    with pytest.raises(InputError, match="`ours` names 'mine@0'"):
        evaluate(TRUTH, runs, settings=QUICK, ours=["mine@0"])


def test_equal_seeds_are_as_one():
    alone = evaluate(TRUTH, {"mine": finds(0.3), "other": finds(0.2, 1)}, settings=QUICK)
    twice = evaluate(
        TRUTH, {"mine@0": finds(0.3), "mine@1": finds(0.3), "other": finds(0.2, 1)}, settings=QUICK
    )
    one, two = alone.models["mine"]["recall@1"], twice.models["mine"]["recall@1"]
    assert (two.value, two.low, two.high) == pytest.approx((one.value, one.low, one.high))
    assert twice.comparisons[0].p_bootstrap == pytest.approx(alone.comparisons[0].p_bootstrap)


def test_a_difference_that_another_seed_undoes_is_not_claimed():
    """One good seed against the other model is a clear win by users; three seeds far apart are none."""
    one = evaluate(TRUTH, {"mine": finds(0.6, 0), "other": finds(0.3, 9)}, settings=QUICK, ours=["mine"])
    assert one.comparisons[0].outcome == "better"
    seeds = {f"mine@{seed}": finds(share, seed) for seed, share in enumerate((0.6, 0.2, 0.6))}
    several = evaluate(TRUTH, {**seeds, "other": finds(0.3, 9)}, settings=QUICK, ours=["mine"])
    assert several.comparisons[0].p_holm < 0.05
    assert several.comparisons[0].p_bootstrap_holm > 0.05
    assert several.comparisons[0].outcome == "undecided"
    steady = {f"mine@{seed}": finds(share, seed) for seed, share in enumerate((0.6, 0.58, 0.62))}
    assert (
        evaluate(TRUTH, {**steady, "other": finds(0.3, 9)}, settings=QUICK).comparisons[0].outcome == "better"
    )


def test_parts_know_the_seeds_too():
    past = pl.DataFrame({"user_id": USERS[:100], "item_id": "a"})
    seeds = {f"mine@{seed}": finds(share, seed) for seed, share in enumerate((0.6, 0.2, 0.6))}
    found = evaluate(TRUTH, {**seeds, "other": finds(0.3, 9)}, past=past, settings=QUICK, ours=["mine"])
    for part, users in (("known users", USERS[:100]), ("new users", USERS[100:])):
        hits = [
            run.filter(pl.col("user_id").is_in(users), pl.col("item_id") == "a").height
            for run in seeds.values()
        ]
        estimate = found.slices[part].models["mine"]["recall@1"]
        assert estimate.value == pytest.approx(sum(hits) / 300)
        single = evaluate(TRUTH, {"mine": finds(0.47), "other": finds(0.3, 9)}, past=past, settings=QUICK)
        narrow = single.slices[part].models["mine"]["recall@1"]
        assert estimate.high - estimate.low > narrow.high - narrow.low


def test_weights_spread_as_the_seeds_do():
    values = np.array([0.1, 0.2, 0.6])
    drawn = seed_weights(3, 20_000, 0, "mine") @ values
    assert drawn.mean() == pytest.approx(values.mean(), abs=0.005)
    assert drawn.var() == pytest.approx(values.var(ddof=1) / 3, rel=0.05)
    assert (seed_weights(3, 5, 0, "a") != seed_weights(3, 5, 0, "b")).any()
    assert (seed_weights(1, 5, 0, "a") == 1).all()


def test_the_bootstrap_p_is_that_of_normal_and_t_distributions():
    means = np.array([-1.0, 1.0] * 50)
    deviation = means.std(ddof=1)
    assert bootstrap_p(1.5, means) == pytest.approx(2 * norm.sf(1.5 / deviation))
    seeds = [np.array([0.0, 1.0, 2.0]), np.array([5.0])]
    share = 1 / 3  # the variance of the three, by their number
    freedom = deviation**4 / (share**2 / 2)
    assert bootstrap_p(1.5, means, seeds) == pytest.approx(2 * student.sf(1.5 / deviation, freedom))
    assert bootstrap_p(0.0, np.zeros(9)) == 1
    assert bootstrap_p(0.2, np.full(9, 0.2)) == 0


def test_the_test_keeps_its_error_when_seeds_differ_more_than_users():
    """Equal but for their seeds: rejected as rarely as told, and often where the seeds are not known."""
    generator = np.random.default_rng(0)
    trials, rejected, naive = 300, 0, 0
    for trial in range(trials):
        means, seeds = [], []
        users = generator.normal(size=(60, 1))
        for model in ("one", "other"):
            scores = users + generator.normal(size=3) + 0.5 * generator.normal(size=(60, 3))
            drawn = bootstrap_means(scores, resamples=200, seed=trial)
            weights = seed_weights(3, 200, trial, model)
            means.append((drawn * weights).sum(axis=1))
            seeds.append(scores.mean(axis=0))
            if model == "one":
                first = drawn[:, 0]
        difference = float(seeds[0].mean() - seeds[1].mean())
        rejected += bootstrap_p(difference, means[0] - means[1], seeds) < 0.05
        naive += bootstrap_p(float(seeds[0][0] - seeds[1][0]), first - drawn[:, 0]) < 0.05
    assert 0.02 <= rejected / trials <= 0.09
    assert naive / trials > 0.5


def test_intervals_cover_other_users_and_other_seeds():
    generator = np.random.default_rng(1)
    covered, trials = 0, 300
    for trial in range(trials):
        scores = (
            generator.normal(size=(80, 1)) + 0.3 * generator.normal(size=8) + generator.normal(size=(80, 8))
        )
        drawn = bootstrap_means(scores, resamples=300, seed=trial)
        low, high = interval((drawn * seed_weights(8, 300, trial, "m")).sum(axis=1), 0.95)
        covered += low <= 0 <= high
    assert 0.90 <= covered / trials <= 0.985


def test_the_command_line_takes_seeds(tmp_path: Path):
    for seed in (0, 1):
        finds(0.5, seed).write_parquet(tmp_path / f"run{seed}.parquet")
    TRUTH.write_parquet(tmp_path / "truth.parquet")
    runs = [word for seed in (0, 1) for word in ("--run", f"mine@{seed}={tmp_path / f'run{seed}.parquet'}")]
    answer = CliRunner().invoke(
        app, ["evaluate", *runs, "--truth", str(tmp_path / "truth.parquet"), "--json"]
    )
    assert answer.exit_code == 0, answer.output
    report = json.loads(answer.stdout)
    assert list(report["models"]) == ["mine"]
    assert list(report["seeds"]["mine"]) == ["0", "1"]
