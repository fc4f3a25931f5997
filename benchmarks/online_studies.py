"""Do intervals hold what they promise? Shops with a known truth, each measured many times over.

python benchmarks/online_studies.py

Prints how often the 95% interval of every kind held the truth, and how often tests without an effect were
taken for ones with, when somebody looks all the time.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import polars as pl
import typer
from scipy.stats import norm

from aisle.eval.online.columns import Columns
from aisle.eval.online.estimate import Estimate, Floats
from aisle.eval.online.experiment import Experiment
from aisle.eval.online.offpolicy import estimated
from aisle.eval.online.plan import Demands, metric_of_past, plan
from aisle.eval.online.sequential import FIRST_LOOK, always_valid_radius
from aisle.eval.online.simulator import shop_of_policies, shop_of_visitors
from aisle.eval.online.values import difference, lift, ratio_values, without_past
from aisle.eval.uncertainty import bootstrap_means, interval

CONFIDENCE = 0.95
FEW = 500
"""Repetitions after which a right interval is still between 93% and 97%, 19 times out of 20."""
WORLD = shop_of_visitors()
Intervals = dict[str, tuple[float, float, float]]
"""By kind: the truth, and the interval of one repetition."""


def metrics(seed: int, users: int = 500) -> Intervals:
    """Bootstrap over users of mean ndcg@10 and recall@10, most of whose values are 0."""
    rng = np.random.default_rng(seed)
    chance = 0.15  # that the one relevant item is among the ten, at any rank
    ranks = rng.integers(1, 11, users)
    found = rng.random(users) < chance
    scores = np.stack([found / np.log2(ranks + 1), found.astype(np.float64)], axis=1)
    low, high = interval(bootstrap_means(scores, resamples=1000, seed=seed), CONFIDENCE)
    truth = (chance * np.mean(1 / np.log2(np.arange(1, 11) + 1)), chance)
    names = ("bootstrap of ndcg@10", "bootstrap of recall@10")
    return {name: (truth[at], low[at], high[at]) for at, name in enumerate(names)}


POLICIES = shop_of_policies()


def policies(seed: int, users: int = 500, requests: int = 2) -> Intervals:
    """IPS, SNIPS and DR of a policy in two slots, from the log of another one; users come several times."""
    found = estimated(POLICIES.decisions(users, requests, seed=seed))
    truth, logged = (POLICIES.value(policy) for policy in (POLICIES.target, POLICIES.logging))
    values = {}
    for name, one in found.estimates.items():
        values[f"{name.upper()}: value"] = (truth, *one.value.interval(CONFIDENCE))
        values[f"{name.upper()}: lift over the log"] = (truth - logged, *one.lift.interval(CONFIDENCE))
    return values


def arms(seed: int, users: int = 2000) -> Intervals:
    """Two arms with an effect: share of buyers, spending (with and without the past), clicks by views."""
    rng = np.random.default_rng(seed)
    crowds = [WORLD.crowd(users, rng) for _ in range(2)]
    bought = [WORLD.conversions(crowd, rng, effect) for crowd, effect in zip(crowds, (0, 0.02), strict=True)]
    past = [WORLD.spending(crowd, rng) for crowd in crowds]
    spent = [WORLD.spending(crowd, rng, effect) for crowd, effect in zip(crowds, (0, 2.0), strict=True)]
    rate = [
        ratio_values(*WORLD.browsing(crowd, rng, effect))
        for crowd, effect in zip(crowds, (0, 0.01), strict=True)
    ]
    mean = float(WORLD.shares @ (WORLD.buys * WORLD.spends))
    relative = lift(*spent)
    assert relative is not None
    estimates: dict[str, tuple[float, Estimate]] = {
        "A/B: share of buyers": (0.02, difference(*bought)),
        "A/B: mean spending": (2.0, difference(*spent)),
        "A/B: mean spending, in parts": (2.0 / mean, relative),
        "A/B: mean spending, CUPED": (2.0, difference(*without_past(spent, past))),
        "A/B: clicks by views": (0.01, difference(*rate)),
    }
    return {name: (truth, *estimate.interval(CONFIDENCE)) for name, (truth, estimate) in estimates.items()}


@dataclass(frozen=True)
class Watched:
    """Tests that were looked at many times.

    Attributes:
        held: share of tests without an effect whose always-valid intervals all held 0.
        naive: the same of intervals that are made for one look.
        found: share of tests with the planned effect that found it.
        users: at which they did, on average, in parts of the planned ones (those that did not count all).
    """

    held: float
    naive: float
    found: float
    users: float


def watched(kind: str, repetitions: int, looks: int, seed: int) -> Watched:
    """Tests planned for an effect and looked at `looks` times, with it and without."""
    rng = np.random.default_rng(seed)
    test = planned(kind)
    sizes = test.users["new"] // looks * np.arange(1, looks + 1)
    ready = sizes >= FIRST_LOOK
    held, naive, found, users = [], [], [], []
    for _ in range(repetitions):
        for effect in (0.0, test.effect):
            arms = [drawn(kind, int(sizes[-1]), rng, one) for one in (0.0, effect)]
            (control, below), (new, above) = (means_and_errors(arm, sizes) for arm in arms)
            distance, variance = np.abs(new - control), below + above
            out = ready & (distance > always_valid_radius(variance, test.mixture("new"), 1 - CONFIDENCE))
            if effect == 0:
                held.append(not out.any())
                naive.append(
                    not (ready & (distance > norm.ppf((1 + CONFIDENCE) / 2) * np.sqrt(variance))).any()
                )
            else:
                found.append(bool(out.any()))
                users.append(sizes[out.argmax()] if out.any() else sizes[-1])
    parts = float(np.mean(users)) / test.users["new"]
    return Watched(float(np.mean(held)), float(np.mean(naive)), float(np.mean(found)), parts)


def means_and_errors(values: Floats, sizes: np.ndarray) -> tuple[Floats, Floats]:
    """Means of the first users, and their squared standard errors, at each of `sizes`."""
    mean = values.cumsum()[sizes - 1] / sizes
    variance = ((values**2).cumsum()[sizes - 1] - sizes * mean**2) / (sizes - 1)
    return mean, variance / sizes


def planned(kind: str) -> Experiment:
    """The test of one kind of metric for a rise by a tenth, planned on users of the period before."""
    rng = np.random.default_rng(2**32)
    past = pl.DataFrame({"value": drawn(kind, 100_000, rng, 0.0)})
    metric = metric_of_past(past, Columns())
    return plan(kind, metric, metric.baseline / 10, Demands({"control": 1, "new": 1}))


def drawn(kind: str, users: int, rng: np.random.Generator, effect: float) -> Floats:
    """Values of new users of one arm."""
    draw = WORLD.conversions if kind == "share of buyers" else WORLD.spending
    return draw(WORLD.crowd(users, rng), rng, effect)


def main(
    repetitions: Annotated[int, typer.Option(min=2)] = 4000,
    running: Annotated[int, typer.Option(min=2, help="Repetitions of running tests.")] = 1000,
    looks: Annotated[int, typer.Option(min=2, help="Times that a running test is looked at.")] = 100,
    seed: Annotated[int, typer.Option()] = 0,
) -> None:
    """Print the tables of docs/experiments.md."""
    started = time.perf_counter()
    kinds: tuple[Callable[[int], Intervals], ...] = (metrics, policies, arms)
    print(f"{repetitions:,} repetitions, seed {seed}\n")
    print(f"| 95% interval | held the truth | of the first {FEW:,} | mean width / truth |\n|---|---|---|---|")
    for kind in kinds:
        found = [kind(seed * repetitions + one) for one in range(repetitions)]
        for name in found[0]:
            truth, low, high = np.array([one[name] for one in found]).T
            inside = (low <= truth) & (truth <= high)
            cells = [
                f"{inside.mean():.1%}",
                f"{inside[:FEW].mean():.1%}",
                f"{np.mean(high - low) / truth[0]:.2f}",
            ]
            print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
    print(f"\n{running:,} running tests, each looked at {looks} times\n")
    print(
        "| metric | planned users an arm | held 0 at all looks | intervals for one look | effect found | "
        "users used |"
    )
    print("|---|---|---|---|---|---|")
    for name in ("share of buyers", "mean spending"):
        one = watched(name, running, looks, seed)
        cells = [f"{one.held:.1%}", f"{one.naive:.1%}", f"{one.found:.1%}", f"{one.users:.0%}"]
        print(f"| {name} | {planned(name).users['new']:,} | " + " | ".join(cells) + " |", flush=True)
    print(f"\n{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    typer.run(main)
