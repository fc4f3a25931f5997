"""Values of any type, as JSON and Parquet hold them, brought to the four shapes that columns are staged in.

first   one text: ids, titles, numbers, times (the first that is filled, of a list)
joined  one text: descriptions and reviews (all parts, a line each)
list    texts: categories, nested lists made flat
pairs   name and value: attributes
"""

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import orjson
import polars as pl

from aisle.data.readers.records import Record, without_surrogates
from aisle.data.schema import ATTRIBUTES

Shape = Literal["first", "joined", "list", "pairs"]
Pair = dict[str, str]

DTYPES: dict[Shape, pl.DataType] = {
    "first": pl.String(),
    "joined": pl.String(),
    "list": pl.List(pl.String),
    "pairs": ATTRIBUTES,
}
SHAPES: dict[str, Shape] = {
    "description": "joined",
    "text": "joined",
    "categories": "list",
    "attributes": "pairs",
}
"""Shape of each canonical column that is not a single value ("first")."""


def scalar(value: Any) -> str | None:
    """One value as text: whole floats as integers, anything nested as JSON.

    >>> scalar(12.0), scalar(True), scalar({"a": 1}), scalar(None)
    ('12', 'true', '{"a":1}', None)
    """
    if type(value) is str or value is None:
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, dict | list | tuple):
        try:
            return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()
        except TypeError:
            return str(value)
    return str(value)


def flat(value: Any) -> Iterator[str]:
    """The filled texts in a value, however nested; a text that is itself a list is read as one.

    >>> list(flat([["Beauty", ["Nails"]], "", None])), list(flat("['a', 'b']"))
    (['Beauty', 'Nails'], ['a', 'b'])
    """
    if isinstance(value, str):
        inner = literal(value) if value.startswith("[") else None
        if isinstance(inner, list):
            yield from flat(inner)
        elif value.strip():
            yield value
    elif isinstance(value, list | tuple):
        for element in value:
            yield from flat(element)
    elif isinstance(value, dict):
        for element in value.values():
            yield from flat(element)
    elif value is not None:
        yield scalar(value) or ""


def literal(text: str) -> Any:
    """The list or dictionary that a text spells in JSON or Python; None if it spells none."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        try:
            return without_surrogates(ast.literal_eval(text))
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            return None


def first(value: Any) -> str | None:
    """The value as one text; of a list the first filled one."""
    return next(flat(value), None) if isinstance(value, list | tuple) else scalar(value)


def joined(value: Any) -> str | None:
    """The value as one text, the parts of a list on lines of their own."""
    if isinstance(value, str):
        return value
    return "\n".join(flat(value)) or None


def pairs(value: Any, name: str) -> list[Pair]:
    """Attributes in a value: those of a dictionary under their own names, others under `name`.

    >>> pairs({" Color: ": "red", "Size:": None}, "details"), pairs(["a", "b"], "material")
    ([{'name': 'Color', 'value': 'red'}], [{'name': 'material', 'value': 'a, b'}])
    """
    if isinstance(value, str) and value.startswith("{"):
        inner = literal(value)
        value = inner if isinstance(inner, dict) else value
    named = value.items() if isinstance(value, dict) else [(name, value)]
    found = ((re.sub(r"\s+", " ", str(key)).strip(" :"), ", ".join(flat(content))) for key, content in named)
    return [{"name": key, "value": content} for key, content in found if key and content]


def identity(value: Any) -> str | None:
    """An id as text; None for what cannot be one (a list, a fraction, a number that lost digits).

    >>> identity(12), identity(12.0), identity("B01"), identity(1.5), identity(["B01"])
    ('12', '12', 'B01', None, None)
    """
    if type(value) is str:
        return value
    if type(value) is int or (type(value) is float and value.is_integer() and abs(value) < 2**53):
        return str(int(value))
    return None


def picker(canonical: str, sources: Sequence[str]) -> Callable[[Record], Any]:
    """The function that takes a canonical column out of a record, in that column's shape.

    Several sources of one value: the first that is filled; of a text: all, a line each; of lists and
    attributes: all. A source with dots is a path into nested values, unless the record has it as a name.
    """
    gets = [_getter(source) for source in sources]
    shape = SHAPES.get(canonical, "first")
    if shape == "pairs":
        named = list(zip(gets, sources, strict=True))
        return lambda record: [pair for get, name in named for pair in pairs(get(record), name)]
    if shape == "list":
        return lambda record: [text for get in gets for text in flat(get(record))]
    one: Callable[[Any], str | None] = first
    if shape == "joined":
        one = joined
    elif canonical.endswith("_id"):
        one = identity
    if len(gets) == 1:
        get, source = gets[0], sources[0]
        return (lambda record: one(get(record))) if "." in source else lambda record: one(record.get(source))
    if shape == "joined":
        return lambda record: "\n".join(filter(None, (one(get(record)) for get in gets))) or None
    return lambda record: next(filter(None, (one(get(record)) for get in gets)), None)


def _getter(source: str) -> Callable[[Record], Any]:
    if "." not in source:
        return lambda record: record.get(source)
    path = source.split(".")
    return lambda record: record[source] if source in record else dig(record, path)


def dig(value: Any, path: list[str]) -> Any:
    """What lies under a path of names, through dictionaries and lists of dictionaries.

    >>> dig([{"large": "1.jpg"}, {"thumb": "2.jpg"}], ["large"])
    ['1.jpg', None]
    """
    for depth, name in enumerate(path):
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, list):
            return [dig(element, path[depth:]) for element in value]
        else:
            return None
    return value
