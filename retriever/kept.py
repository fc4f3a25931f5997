"""Results of methods, kept with their object and gone with it."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

Owner = TypeVar("Owner")
Given = ParamSpec("Given")
Result = TypeVar("Result")


def kept(
    method: Callable[Concatenate[Owner, Given], Result],
) -> Callable[Concatenate[Owner, Given], Result]:
    """Call a method once for the same positional arguments, for as long as its object is there.

    `functools.cache` of a bound method would be a cycle: the object, and the events that it holds, would stay
    until Python looks for cycles, which it seldom does beside much that lives long.
    """

    @wraps(method)
    def ask(owner: Owner, /, *given: Given.args, **named: Given.kwargs) -> Result:
        results: dict[Any, Result] = owner.__dict__.setdefault("_kept", {})
        key = (method.__name__, *given)
        if key not in results:
            results[key] = method(owner, *given, **named)
        return results[key]

    return ask
