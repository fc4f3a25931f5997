"""Settings by validation: one axis of the grid after the other, until no axis has a better value."""

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np


class Found(NamedTuple):
    """The best point, and how it was found.

    Attributes:
        point: value by axis.
        value: of the point; None if nothing had to be tried.
        tried: distinct points that were tried.
        passes: passes over the axes that were made, the last one without a change if `settled`.
        settled: whether no other value of any single axis is better.
    """

    point: dict[str, Any]
    value: float | None
    tried: int
    passes: int
    settled: bool


def search(
    axes: Mapping[str, Sequence[Any]],
    value: Callable[[dict[str, Any]], float],
    *,
    passes: int,
    trials: int | None = None,
    seed: int = 0,
) -> Found:
    """The point with the largest `value`, by coordinate ascent and, where trials are left, at random.

    Starts at the first value of every axis. Then each axis in turn tries its other values, with the best so
    far on all others; among equals the earlier stays. Settings interact, so the axes are passed over again
    until a pass changes nothing, `passes` times at most; no point is tried twice. The points add up over the
    axes instead of multiplying, so the axes can be longer for the same time. The axes that make `value` slow
    belong last: the others are then settled at their first, cheap value.

    With `trials`, exactly so many points are tried, or all there are: the ascent ends when they are used up,
    and what it leaves goes to points that it did not try, drawn with `seed`. Grids of different shapes are so
    searched under one budget.

    >>> search({"x": (0, 1, 2), "y": (0, 5)}, lambda p: p["x"] * (p["y"] - 1) + p["y"], passes=3)
    Found(point={'x': 2, 'y': 5}, value=13, tried=6, passes=3, settled=True)
    >>> search({"x": (0, 1, 2), "y": (0, 5)}, lambda p: p["x"], passes=3, trials=2).point
    {'x': 1, 'y': 0}
    """
    best = {axis: values[0] for axis, values in axes.items()}
    if all(len(values) == 1 for values in axes.values()):
        return Found(best, None, 0, 0, True)
    best_value = value(best)
    tried = {tuple(best.values())}
    settled, number = False, 0

    def better(point: dict[str, Any]) -> bool:
        """Try a point, unless it was or the trials are used up, and keep it if it is the best."""
        nonlocal best, best_value
        if tuple(point.values()) in tried or len(tried) == trials:
            return False
        tried.add(tuple(point.values()))
        if (this := value(point)) <= best_value:
            return False
        best, best_value = point, this
        return True

    while not settled and number < passes and len(tried) != trials:
        number += 1
        found = [better(best | {axis: other}) for axis, values in axes.items() for other in values]
        settled = not any(found)
    settled = settled and len(tried) != trials
    every = list(product(*axes.values()))
    if trials is not None:
        for at in np.random.default_rng(seed).permutation(len(every)):
            settled = not better(dict(zip(axes, every[int(at)], strict=True))) and settled
    return Found(best, best_value, len(tried), number, settled or len(tried) == len(every))
