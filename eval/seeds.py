"""Several runs of one model by seed: a level of chance of its own.

A model that is trained again with another seed gives other lists. Users and seeds are crossed (every seed is
judged by the same users), so both are redrawn: users as everywhere (:mod:`aisle.eval.uncertainty`), and the
seeds of each model on their own.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from aisle.data.errors import InputError
from aisle.eval.measuring import Measured
from aisle.eval.report.schema import Estimate
from aisle.eval.sampled import Alone
from aisle.eval.uncertainty import Floats, interval


def by_model(runs: Iterable[str]) -> dict[str, dict[str, str]]:
    """Runs of each model, by seed: `fused@0` and `fused@1` are runs of `fused` under the seeds 0 and 1.

    A name without "@", or the only one of its model, is a model itself; its seed is "".

    Raises:
        InputError: a run has the name of a model that has several seeds.

    >>> by_model(["fused@0", "fused@1", "als"])
    {'fused': {'0': 'fused@0', '1': 'fused@1'}, 'als': {'': 'als'}}
    """
    names = list(runs)
    bases = [name.rpartition("@")[0] for name in names]
    found: dict[str, dict[str, str]] = {}
    for name, base in zip(names, bases, strict=True):
        several = base and bases.count(base) > 1
        found.setdefault(base if several else name, {})[name.rpartition("@")[2] if several else ""] = name
    for model, seeds in found.items():
        if len(seeds) > 1 and "" in seeds:
            raise InputError(
                f"runs of {model} that all name their seed, such as {model}@0",
                f"one that is called {model!r} alone",
                f"call it {model}@SEED, or otherwise",
            )
    return found


def seed_weights(n_seeds: int, resamples: int, seed: int, model: str) -> Floats:
    """Weight of each seed of a model in each resample, float64 (resamples, n_seeds); a row sums to 1.

    A resample draws n seeds with replacement. Few draws spread less than the seeds do, by (n - 1) / n, so
    their distance from the even weights is stretched by sqrt(n / (n - 1)).
    Source: Rao and Wu 1988, "Resampling inference with complex survey data", section 2.
    """
    even = np.full((resamples, n_seeds), 1 / n_seeds)
    if n_seeds == 1:
        return even
    generator = np.random.default_rng([seed, *model.encode()])
    drawn = generator.multinomial(n_seeds, np.full(n_seeds, 1 / n_seeds), size=resamples) / n_seeds
    weights: Floats = even + np.sqrt(n_seeds / (n_seeds - 1)) * (drawn - even)
    return weights


def merge(runs: Sequence[Measured], weights: Floats, confidence: float) -> Measured:
    """One model out of its runs under several seeds: values are means, intervals are of both levels.

    Args:
        runs: by seed.
        weights: :func:`seed_weights` of the model.
        confidence: of the intervals.
    """
    first = runs[0]
    if len(runs) == 1:
        return first
    means = {name: _weighted([run.means[name] for run in runs], weights) for name in first.means}
    estimates = {}
    for name in first.estimates:
        value = float(np.mean([run.estimates[name].value for run in runs]))
        low, high = interval(means[name], confidence) if name in means else (None, None)
        estimates[name] = Estimate(
            value=value, low=None if low is None else float(low), high=None if high is None else float(high)
        )
    return replace(
        first,
        estimates=estimates,
        scores=np.mean([run.scores for run in runs], axis=0),
        by_seed=np.concatenate([run.by_seed for run in runs]),
        means=means,
        parts={name: np.concatenate([run.parts[name] for run in runs], axis=2) for name in first.parts},
        findings=[finding for run in runs for finding in run.findings],
        sampled={
            name: Alone(*np.mean([run.sampled[name] for run in runs], axis=0).tolist())
            for name in first.sampled
        },
        popular=np.mean([run.popular for run in runs], axis=0).tolist(),
    )


def values_by_seed(
    models: Mapping[str, Mapping[str, str]], measured: Mapping[str, Measured], tested: Sequence[str]
) -> dict[str, dict[str, dict[str, float]]]:
    """Model → seed → tested measure → value, of the models that have several seeds.

    Args:
        models: :func:`by_model`.
        measured: every run.
        tested: names of the measures.
    """
    return {
        model: {
            seed: {name: measured[run].estimates[name].value for name in tested}
            for seed, run in seeds.items()
        }
        for model, seeds in models.items()
        if len(seeds) > 1
    }


def _weighted(means: Sequence[Floats], weights: Floats) -> Floats:
    """Means (resamples) of several seeds as one."""
    together: Floats = np.einsum("rs,sr->r", weights, np.stack(means))
    return together
