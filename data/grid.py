"""Settings by validation: one axis of the grid after the other, until no axis has a better value."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple


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
    axes: Mapping[str, Sequence[Any]], value: Callable[[dict[str, Any]], float], *, passes: int
) -> Found:
    """The point with the largest `value`, by coordinate ascent.

    Starts at the first value of every axis. Then each axis in turn tries its other values, with the best so
    far on all others; among equals the earlier stays. Settings interact, so the axes are passed over again
    until a pass changes nothing, `passes` times at most; no point is tried twice. The points add up over the
    axes instead of multiplying, so the axes can be longer for the same time. The axes that make `value` slow
    belong last: the others are then settled at their first, cheap value.

    >>> search({"x": (0, 1, 2), "y": (0, 5)}, lambda p: p["x"] * (p["y"] - 1) + p["y"], passes=3)
    Found(point={'x': 2, 'y': 5}, value=13, tried=6, passes=3, settled=True)
    """
    best = {axis: values[0] for axis, values in axes.items()}
    if all(len(values) == 1 for values in axes.values()):
        return Found(best, None, 0, 0, True)
    best_value = value(best)
    tried = {tuple(best.values())}
    for number in range(1, passes + 1):
        before = best
        for axis, values in axes.items():
            for other in values:
                point = best | {axis: other}
                if tuple(point.values()) in tried:
                    continue
                tried.add(tuple(point.values()))
                if (this := value(point)) > best_value:
                    best, best_value = point, this
        if best == before:
            return Found(best, best_value, len(tried), number, True)
    return Found(best, best_value, len(tried), passes, False)
