"""What can be set about the embedded shop."""

import json
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from aisle.data.errors import InputError

START = datetime(2023, 1, 1, tzinfo=UTC)
"""When the shop opens."""

DAYS = 730
"""Days that the log spans."""

PERIODS = 8
"""Stretches of equal length in which a user's taste stays the same (a quarter of a year each)."""


class ShopSettings(BaseModel):
    """A shop is a function of these: equal settings give equal bytes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    users: int = Field(..., ge=1, description="users")
    items: int = Field(..., ge=1, description="products in the catalogue")
    seed: int = Field(0, ge=0, description="seed of everything random")
    events_per_user: float = Field(
        30.0, ge=4, le=150, description="mean of a user's views, carts, purchases, searches and reviews"
    )
    dirt: float = Field(
        0.002, ge=0, le=0.05, description="share of rows spoilt in each of the ways that docs/shop.md lists"
    )
    truth_users: int = Field(
        10_000, ge=0, description="users whose tastes and best items are written out; the first ones"
    )


VERSION = 1
"""Raised whenever equal settings come to mean another shop."""

PARAMETERS = "truth/parameters.json"


def write_parameters(folder: Path, settings: ShopSettings) -> None:
    """Note in `folder` which shop it holds; written last."""
    (folder / PARAMETERS).write_text(
        json.dumps({"version": VERSION, **settings.model_dump()}, indent=2) + "\n"
    )


def read_parameters(folder: Path) -> ShopSettings:
    """Settings of the shop in `folder`.

    Raises:
        InputError: not a shop of this version.
    """
    try:
        noted = json.loads((folder / PARAMETERS).read_text())
        version = noted.pop("version")
        if version == VERSION:
            return ShopSettings(**noted)
        found = f"version {version}"
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        found = f"{type(error).__name__}: {error}"
    raise InputError(
        f"a shop of version {VERSION}: {folder}", found, "make it anew with `aisle shop` in another folder"
    )
