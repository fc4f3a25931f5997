"""One typed TOML: what the components let one set, put together, and overridable key by key."""

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from aisle.data.errors import InputError
from aisle.data.settings import DataSettings
from aisle.eval.baselines.settings import BaselineSettings
from aisle.eval.settings import EvaluateSettings
from aisle.index.rebuild_settings import RebuildSettings
from aisle.index.settings import IndexSettings
from aisle.ranker.settings import RankerSettings
from aisle.retriever.settings import RetrieverSettings
from aisle.space import TuneSettings

FILE = "aisle.toml"
"""Read from the current folder when no other file is named."""


class CandidatesSettings(BaseModel):
    """What is retrieved for every user."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    k: int = Field(default=100, ge=1, description="candidates of every user")
    part_events: int = Field(
        default=500_000, ge=1, description="events whose users make a part of a nightly job (`--users`)"
    )


class EvaluationSettings(EvaluateSettings):
    """How runs are measured, and which baselines there are."""

    baselines: BaselineSettings = BaselineSettings()


class Settings(BaseModel):
    """Everything that can be set about a run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = Field(
        default=0, ge=0, le=2**32 - 1, description="of everything random; same seed, same candidates"
    )
    data: DataSettings = DataSettings()
    retriever: RetrieverSettings = RetrieverSettings()
    index: IndexSettings = IndexSettings()
    rebuild: RebuildSettings = RebuildSettings()
    candidates: CandidatesSettings = CandidatesSettings()
    ranker: RankerSettings = RankerSettings()
    evaluate: EvaluationSettings = EvaluationSettings()
    tune: TuneSettings = TuneSettings()


@dataclass(frozen=True)
class Key:
    """One setting: its dotted name, its field, and its value."""

    name: str
    field: FieldInfo
    value: Any


def keys(settings: BaseModel, prefix: str = "") -> Iterator[Key]:
    """All settings below `settings`: the keys of a section as they are defined, then its sections."""
    values = {name: getattr(settings, name) for name in type(settings).model_fields}
    for name, value in values.items():
        if not isinstance(value, BaseModel):
            yield Key(f"{prefix}{name}", type(settings).model_fields[name], value)
    for name, value in values.items():
        if isinstance(value, BaseModel):
            yield from keys(value, f"{prefix}{name}.")


def load_settings(path: Path | None = None, overrides: Sequence[str] = ()) -> Settings:
    """Settings of a TOML file, with single keys overridden.

    Args:
        path: the file; None: `aisle.toml` in the current folder, or the defaults where there is none.
        overrides: `key=value`, the key dotted, the value in TOML, or bare text: `retriever.dim=64`,
            `evaluate.k=[10,20]`, `retriever.encoder.model=intfloat/e5-small-v2`.

    Raises:
        InputError: the file cannot be read, a key is unknown (the nearest known one is named), or a value is
            not of the key's type.
    """
    source = path or Path(FILE)
    given = _read(source) if path is not None or source.is_file() else {}
    for override in overrides:
        _put(given, *_split(override))
    return _validated(given, overrides)


def with_values(settings: Settings, values: Mapping[str, object]) -> Settings:
    """The same settings with some changed, by dotted key.

    Raises:
        InputError: a key is unknown, or a value is not of its type.
    """
    given = json.loads(settings.model_dump_json())
    for key, value in values.items():
        _put(given, key, value)
    return _validated(given, ())


def plain(settings: BaseModel, exclude: set[str] | None = None) -> dict[str, Any]:
    """Settings, or a part of them, as JSON holds them."""
    return dict(json.loads(settings.model_dump_json(exclude=exclude)))


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise InputError(
            "a TOML file with settings", f"{path}: {error.strerror}", "check --config"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        found = f"{path}: {error}"
        raise InputError(
            "a TOML file with settings", found, "`aisle settings` prints one to start from"
        ) from error


def _split(override: str) -> tuple[str, Any]:
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise InputError("--set KEY=VALUE", repr(override), "write it as --set retriever.dim=64")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    return key.strip(), value


def _put(given: dict[str, Any], key: str, value: object) -> None:
    *sections, name = key.split(".")
    place = given
    for section in sections:
        place = place.setdefault(section, {})
        if not isinstance(place, dict):
            raise InputError("a section", f"{key}: {section} is a value", "`aisle settings` lists all keys")
    place[name] = value


def _validated(given: dict[str, Any], overrides: Sequence[str]) -> Settings:
    """Strictly typed: text is no number; except that an override's number may be meant as text."""
    try:
        return Settings.model_validate_json(json.dumps(given, default=_as_json), strict=True)
    except ValidationError as error:
        problems = error.errors()
    texts = {key: text for key, _, text in (override.partition("=") for override in overrides)}
    meant = {
        _name(problem): texts.get(_name(problem)) for problem in problems if problem["type"] == "string_type"
    }
    for key, text in meant.items():
        if text is not None:
            _put(given, key, text)
            return _validated(
                given, [override for override in overrides if not override.startswith(f"{key}=")]
            )
    raise _explained(problems)


def _as_json(value: object) -> str:
    if isinstance(value, date) and not isinstance(value, datetime):
        return f"{value.isoformat()}T00:00:00"
    if isinstance(value, datetime | time):
        return value.isoformat()
    raise TypeError(f"not a TOML value: {value!r}")


def _explained(problems: Sequence[ErrorDetails]) -> InputError:
    unknown = [problem for problem in problems if problem["type"] == "extra_forbidden"]
    problem = (unknown or problems)[0]
    name = _name(problem)
    if unknown:
        near = nearest(name, [key.name for key in keys(Settings())])
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        return InputError("a known setting", name, f"{hint}`aisle settings` lists all of them")
    found = (
        f"{name} = {json.dumps(problem['input'], default=str)}"
        if name
        else "settings that contradict each other"
    )
    message = problem["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    fix = f"change {name or 'one of them'}; `aisle settings` describes every key"
    if problem["type"] == "value_error":
        return InputError(f"a usable {name}" if name else "settings that fit", f"{found}: {message}", fix)
    return InputError(message, found, fix)


def nearest(name: str, known: Sequence[str]) -> list[str]:
    """At most three of `known` that `name` may have been meant to be, likeliest first.

    >>> nearest("retriever.epochs", ["retriever.dim", "retriever.max_epochs", "seed"])
    ['retriever.max_epochs']
    >>> nearest("dim", ["retriever.dim", "seed"])
    ['retriever.dim']
    >>> nearest("retreiver", ["retriever.dim", "seed"])
    ['retriever']
    """
    section, _, last = name.rpartition(".")
    same_end = [key for key in known if key.rpartition(".")[2] == last]
    inside = [key for key in known if section and key.startswith(f"{section}.")]
    beside = list(dict.fromkeys(".".join(key.split(".")[: name.count(".") + 1]) for key in inside))
    names = [*known, *dict.fromkeys(key.rpartition(".")[0] for key in known if "." in key)]
    return (same_end or get_close_matches(name, beside, 1, 0.6) or get_close_matches(name, names, 3, 0.75))[
        :3
    ]


def _name(problem: ErrorDetails) -> str:
    """Dotted name of the setting, without positions in lists."""
    parts = [part for part in problem["loc"] if isinstance(part, str)]
    place: Any = Settings
    names = []
    for part in parts:
        names.append(part)
        field = cast(Mapping[str, FieldInfo], getattr(place, "model_fields", {})).get(part)
        if field is None:
            break
        place = field.annotation
        if not hasattr(place, "model_fields"):
            break
    return ".".join(names)
