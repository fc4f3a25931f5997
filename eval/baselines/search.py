"""Settings by validation: one axis of the grid after the other."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple


class Found(NamedTuple):
    """The best point, its value (none if nothing had to be tried), and how many points were tried."""

    point: dict[str, Any]
    value: float | None
    tried: int


def search(axes: Mapping[str, Sequence[Any]], value: Callable[[dict[str, Any]], float]) -> Found:
    """The point with the largest `value`, found axis by axis.

    Starts at the first value of every axis. Then each axis in turn tries its other values, with the best so
    far on all others; among equals the earlier stays. The points add up over the axes instead of multiplying,
    so the axes can be longer for the same time.

    >>> search({"x": (0, 1, 2), "y": (0, 5)}, lambda point: point["x"] - abs(point["y"] - 4))
    Found(point={'x': 2, 'y': 5}, value=1, tried=4)
    """
    best = {axis: values[0] for axis, values in axes.items()}
    others = [(axis, other) for axis, values in axes.items() for other in values[1:]]
    if not others:
        return Found(best, None, 0)
    best_value = value(best)
    for axis, other in others:
        point = best | {axis: other}
        if (this := value(point)) > best_value:
            best, best_value = point, this
    return Found(best, best_value, 1 + len(others))
