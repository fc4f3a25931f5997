"""Settings as TOML with descriptions, and as documentation."""

import json
from collections.abc import Mapping, Sequence
from datetime import date, time
from textwrap import wrap
from typing import Any

from pydantic import BaseModel, TypeAdapter

from aisle.settings import Key, Settings, keys


def as_toml(settings: Settings) -> str:
    """TOML that `load_settings` reads back to equal settings, each key below its description."""
    lines = ["# What can be set about a run of aisle. Keys that are left out keep their defaults."]
    section = ""
    for key in keys(settings):
        prefix, _, name = key.name.rpartition(".")
        if prefix != section:
            section = prefix
            lines += ["", f"[{section}]"]
        lines += wrap(
            f"{key.field.description} ({_kind(key)})", 79, initial_indent="# ", subsequent_indent="# "
        )
        lines.append(f"# {name} =" if key.value is None else f"{name} = {_value(key.value)}")
    return "\n".join(lines) + "\n"


def as_markdown() -> str:
    """All settings with their defaults, as the page docs/settings.md."""
    lines = [
        "# Settings",
        "",
        "Written by `aisle settings --markdown`; a test keeps it current. All of them go into one TOML file,",
        "`aisle.toml` in the current folder or `--config FILE`, and each can be given on the command line",
        "with `--set KEY=VALUE`. `aisle settings` prints those in effect.",
    ]
    section = None
    for key in keys(Settings()):
        prefix, _, name = key.name.rpartition(".")
        if prefix != section:
            section = prefix
            heading = f"## [{section}]" if section else "## At the top"
            lines += ["", heading, "", "| key | default | what |", "|---|---|---|"]
        default = "" if key.value is None else f"`{_cell(_value(key.value))}`"
        lines.append(f"| `{name}` | {default} | {_cell(str(key.field.description))} ({_cell(_kind(key))}) |")
    return "\n".join(lines) + "\n"


def _value(value: object) -> str:
    """A value in TOML."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    if isinstance(value, BaseModel):
        value = value.model_dump(exclude_defaults=True)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(name)} = {_value(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, Sequence):
        return f"[{', '.join(_value(inner) for inner in value)}]"
    return json.dumps(str(value), ensure_ascii=False)


def _kind(key: Key) -> str:
    """What a key takes, in words."""
    schema = TypeAdapter[Any](key.field.annotation or object).json_schema()
    schema |= {name: value for name, value in _bounds(key).items() if value is not None}
    return _words(schema)


def _bounds(key: Key) -> dict[str, Any]:
    names = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
    return {
        words: getattr(mark, name)
        for mark in key.field.metadata
        for name, words in names.items()
        if hasattr(mark, name)
    }


def _words(schema: Mapping[str, Any]) -> str:
    if "anyOf" in schema:
        inner = {name: value for name, value in schema.items() if name != "anyOf"}
        return " or ".join(_words(one | inner) for one in schema["anyOf"] if one.get("type") != "null")
    if "enum" in schema:
        return f"one of {', '.join(map(str, schema['enum']))}"
    if schema.get("type") == "array":
        return f"list of {_words(schema['items'])}" if "items" in schema else "list"
    names = {
        "string": "text",
        "integer": "whole number",
        "number": "number",
        "boolean": "true or false",
        "object": "table",
    }
    formats = {"date-time": "date and time", "path": "path"}
    kind = formats.get(schema.get("format", ""), names.get(schema.get("type", ""), "any"))
    signs = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    limits = [f"{sign} {schema[name]}" for name, sign in signs.items() if name in schema]
    return " ".join([kind, " and ".join(limits)]).strip()


def _cell(text: str) -> str:
    """Text that does not end a cell of a Markdown table."""
    return text.replace("|", "\\|")
