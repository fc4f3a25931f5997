"""One line of JSON, or of the Python literals that Amazon's 2014 files are written in, as a dictionary."""

import ast
import json
from collections.abc import Callable
from typing import Any

import orjson

Record = dict[str, Any]
Parse = Callable[[bytes], Record | None]


def parse_json(line: bytes) -> Record | None:
    """The object on a line of JSON; None if the line holds none.

    What strict JSON forbids but Python's `json` writes (NaN, lone surrogates) is read too, NaN as null.

    Raises:
        UnicodeDecodeError: the line is not UTF-8.
    """
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        text = line.decode()
        try:
            value = without_surrogates(json.loads(text, parse_constant=lambda _: None))
        except (ValueError, RecursionError):
            return None
    return value if isinstance(value, dict) else None


def parse_literal(line: bytes) -> Record | None:
    """The dictionary on a line of Python literals; None if the line holds none.

    Raises:
        UnicodeDecodeError: the line is not UTF-8.
    """
    text = line.decode()
    try:
        value = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    return {str(key): content for key, content in without_surrogates(value).items()}


def dialect(line: bytes) -> Parse | None:
    """The parser that reads `line`; None if it is neither JSON nor a Python literal of a dictionary.

    >>> dialect(b'{"asin": "1"}').__name__, dialect(b"{'asin': '1'}").__name__, dialect(b"asin,title")
    ('parse_json', 'parse_literal', None)
    """
    for parse in (parse_json, parse_literal):
        if parse(line) is not None:
            return parse
    return None


def without_surrogates(value: Any) -> Any:
    """`value` with the halves of broken surrogate pairs, which no UTF-8 can hold, replaced by '?'."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list | tuple):
        return [without_surrogates(element) for element in value]
    if isinstance(value, dict):
        return {without_surrogates(key): without_surrogates(content) for key, content in value.items()}
    return value
