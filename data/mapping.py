"""Mapping files: which columns of a shop's files are which canonical columns.

A mapping is a small TOML file (docs/data.md shows one), kept as `mapping.toml` beside the data or passed by
path. The shapes that the project knows without being told are mappings too: `data/mappings/*.toml`.
"""

import difflib
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from aisle.data.errors import InputError
from aisle.data.schema import EVENTS, ITEMS, Kind

Table = Literal["items", "events"]
Format = Literal["csv", "tsv", "recbole", "jsonl", "bulk", "sequences", "parquet"]
TimestampUnit = Literal["s", "ms", "us", "ns"]

CANONICAL: dict[Table, tuple[str, ...]] = {"items": tuple(ITEMS), "events": tuple(EVENTS)}
"""Columns that a mapping can fill, by table."""


class FileMapping(BaseModel):
    """How the files that match a pattern become canonical rows of one table."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    match: str = Field(..., min_length=1, description="glob on the file's path inside the data folder")
    table: Table = Field(..., description="what the rows are")
    format: Format | None = Field(
        None, description="how the file is written; when absent the file is looked at"
    )
    needs: tuple[str, ...] = Field(
        (), description="columns that the file must have (`a|b`: either), or the mapping does not apply"
    )
    first_line: str | None = Field(
        None, description="regular expression on the first line, or the mapping does not apply"
    )
    separator: str | None = Field(None, min_length=1, max_length=1, description="between fields of a CSV")
    header: bool = Field(True, description="whether the first line of a CSV names the columns")
    names: tuple[str, ...] = Field((), description="names of the columns of a CSV without header")
    quote: str = Field('"', max_length=1, description="quote of a CSV; empty: quotes mean nothing")
    encoding: str = Field("utf-8", description="encoding of a text file")
    columns: dict[str, str | tuple[str, ...]] = Field(
        ..., min_length=1, description="canonical column = source column, or several"
    )
    kind: Kind | None = Field(None, description="kind of all events")
    kinds: dict[str, Kind] = Field({}, description="source value = kind, where a column tells kinds apart")
    timestamp_unit: TimestampUnit | None = Field(None, description="unit of numeric times; else by size")
    timestamp_format: str | None = Field(None, description="strptime format of times written as text")
    category_separator: str | None = Field(None, min_length=1, description="splits categories in a text")
    without: tuple[str, ...] = Field((), description="attribute names to leave out")
    first_per_item: bool = Field(
        False, description="the table repeats an item on many rows: take the first row of each"
    )

    @field_validator("match")
    @classmethod
    def _inside_the_folder(cls, value: str) -> str:
        if value.startswith("/") or ".." in Path(value).parts:
            raise ValueError("must be a pattern inside the data folder, without '..' or a leading '/'")
        return value

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str) -> str:
        try:
            "".encode(value)
        except (LookupError, ValueError):
            raise ValueError(f"unknown encoding {value!r}") from None
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> "FileMapping":
        known = CANONICAL[self.table]
        for name in self.columns:
            if name not in known:
                raise ValueError(f"no canonical column {name!r} in {self.table}{nearest(name, known)}")
        if "item_id" not in self.columns and (self.table == "items" or "text" not in self.columns):
            raise ValueError("item_id is missing from columns")
        if self.table == "events" and "user_id" not in self.columns:
            raise ValueError("user_id is missing from columns")
        if self.table == "events" and (self.kind is None) == ("kind" not in self.columns):
            raise ValueError("events need either `kind` for all rows or a `kind` column")
        if self.table == "items" and (self.kind or self.kinds):
            raise ValueError("items have no kind")
        if self.kinds and "kind" not in self.columns:
            raise ValueError("`kinds` translates the values of a `kind` column, and there is none")
        if bool(self.names) == self.header:
            raise ValueError("`names` and `header = false` go together")
        if self.format == "sequences" and (self.kind is None or set(self.columns) != {"user_id", "item_id"}):
            raise ValueError(
                "sequences have a `kind` and the columns user_id and item_id (the list), no others"
            )
        if self.first_per_item and self.table != "items":
            raise ValueError("`first_per_item` is for items")
        return self

    def sources(self, canonical: str) -> tuple[str, ...]:
        """Source columns of a canonical column, in order; empty where it has none."""
        value = self.columns.get(canonical, ())
        return (value,) if isinstance(value, str) else value


class Mapping(BaseModel):
    """All file mappings of one TOML file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: tuple[FileMapping, ...] = Field(..., min_length=1, description="one block for each kind of file")
    ignore: tuple[str, ...] = Field((), description="globs of files to leave alone")


def nearest(name: str, known: Iterable[str]) -> str:
    """`"; did you mean 'x'?"` for the known names nearest to `name`, else `""`.

    >>> nearest("usr_id", ["user_id", "price"])
    "; did you mean 'user_id'?"
    """
    close = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(map(repr, close))}?" if close else ""


def load_mapping(path: Path) -> Mapping:
    """The mapping in a TOML file.

    Raises:
        InputError: the file is missing, not TOML, or says something that a mapping cannot say.
    """
    expected = "a mapping file (TOML, [[file]] blocks; see docs/data.md)"
    try:
        return Mapping.model_validate(tomllib.loads(path.read_text(encoding="utf-8-sig")))
    except OSError as error:
        raise InputError(expected, f"cannot read {path}: {error.strerror}", "check the path") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(expected, f"{path}: {error}", "correct the TOML") from None
    except ValidationError as error:
        found = "; ".join(
            _complaint(problem["loc"], problem["type"], problem["msg"]) for problem in error.errors()
        )
        raise InputError(expected, f"{path}: {found}", "correct these keys") from None


def _complaint(place: Sequence[int | str], kind: str, message: str) -> str:
    """One validation error in a line, with the nearest known key for a key that is not known."""
    where = ".".join(str(part) for part in place)
    if kind == "extra_forbidden":
        known = FileMapping.model_fields if len(place) > 1 else Mapping.model_fields
        return f"unknown key {where}{nearest(str(place[-1]), known)}"
    return f"{where}: {message.removeprefix('Value error, ')}"
